package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// answer is an answer that is being read.
type answer struct {
	resp   *http.Response
	secret string
	endIn  func(time.Duration) // ends the body after a time; a later call replaces an earlier one

	limited *io.LimitedReader
	broken  error  // of the network, if it ended the body
	pieces  int    // documents that were pieces of a stream
	cut     []byte // the start of a character whose rest is in the next piece
	whole   bool   // the pieces so far are a whole answer
	ended   bool   // the rest of the body does not matter
	note    string // the last document that is no object
}

// form is the syntax of a body.
type form int

const (
	emptyBody form = iota
	events
	document
	unknownForm
)

// read passes the documents of the answer on.
func (a *answer) read(ctx context.Context, on OnDocument) (done bool, err error) {
	a.limited = &io.LimitedReader{N: maxStream}
	if a.limited.R, err = unpack((*tracked)(a)); err == nil {
		done, err = a.readDocuments(bufio.NewReader(a.limited), on)
	}
	if err == nil && (done || a.ended) {
		a.drain()
		return true, nil
	}
	var call *run.Failure
	switch {
	case errors.As(err, &call):
		return false, call
	case a.limited.N <= 0, errors.Is(err, bufio.ErrTooLong):
		return false, tooLargeError(a.resp)
	case a.broken != nil:
		return false, callFailure(ctx, a.broken)
	case err != nil:
		return false, &run.Failure{
			Code: run.CodeServerError, Message: err.Error(), HTTPStatus: a.resp.StatusCode, Retriable: true,
		}
	case a.pieces == 0 && a.note != "":
		return false, a.newFailure([]byte(a.note), malformedError("it has no events"))
	}
	return false, nil
}

// tracked reads the body of an answer. It keeps the error of the network, which
// the readers on top of it hide.
type tracked answer

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.resp.Body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.broken = err
	}
	return n, err
}

func (a *answer) readDocuments(body *bufio.Reader, on OnDocument) (done bool, err error) {
	switch a.peekForm(body) {
	case document:
		return a.readJSON(body, on)
	case events:
		return a.readEvents(body, on)
	case emptyBody:
		return false, malformedError("it is empty")
	}
	b, err := io.ReadAll(io.LimitReader(body, maxError))
	if err != nil {
		return false, fmt.Errorf("read an answer: %w", err)
	}
	if encoding := a.resp.Header.Get("Content-Encoding"); encoding != "" {
		return false, malformedError(fmt.Sprintf("it is encoded as %q, which was not asked for", encoding))
	}
	why := fmt.Sprintf("%d bytes that are neither JSON nor events", len(b))
	if w := apierror.Read(b).Redact(a.secret); w.Message != "" {
		why = "it is neither JSON nor events: " + w.Message
	}
	return false, malformedError(why)
}

// peekForm looks at the first bytes of a body. It waits for no more bytes than
// it needs.
func (a *answer) peekForm(body *bufio.Reader) form {
	first, err := body.Peek(1)
	if err != nil {
		return emptyBody
	}
	switch first[0] {
	case '{', '[':
		return document
	case ':':
		return events
	}
	if media, _, _ := mime.ParseMediaType(a.resp.Header.Get("Content-Type")); media == "text/event-stream" {
		return events
	}
	for _, field := range []string{"data:", "event:", "id:", "retry:"} {
		if first[0] == field[0] {
			if start, _ := body.Peek(len(field)); string(start) == field {
				return events
			}
		}
	}
	return unknownForm
}

// readJSON reads a body that begins with JSON: documents one after the other,
// or a list of documents. What follows and is not JSON is read as lines, each a
// document or an event.
func (a *answer) readJSON(body *bufio.Reader, on OnDocument) (done bool, err error) {
	a.limited.N = min(a.limited.N, maxAnswer)
	d := json.NewDecoder(body)
	var doc json.RawMessage
	if err := d.Decode(&doc); err != nil {
		if a.broken != nil || a.limited.N <= 0 {
			return false, fmt.Errorf("read an answer: %w", err)
		}
		size := d.InputOffset() + int64(countBuffered(d))
		return false, malformedError(fmt.Sprintf("%d bytes that are no JSON document", size))
	}
	a.limited.N += maxStream - maxAnswer
	for {
		docs := []json.RawMessage{doc}
		if doc[0] == '[' {
			docs = nil
			_ = json.Unmarshal(doc, &docs) // it was decoded above
		}
		for _, one := range docs {
			if err := a.passOn(one, "", a.pieces > 0 || isPiece(one), on); err != nil || a.ended {
				return a.ended, err
			}
		}
		doc = nil
		if d.Decode(&doc) != nil || doc[0] != '{' {
			break
		}
	}
	return a.readEvents(bufio.NewReader(io.MultiReader(d.Buffered(), body)), on)
}

func countBuffered(d *json.Decoder) int {
	n, _ := io.Copy(io.Discard, d.Buffered())
	return int(n)
}

// readEvents reads a body of server-sent events, or of lines that are
// documents.
func (a *answer) readEvents(body *bufio.Reader, on OnDocument) (done bool, err error) {
	all := newSSEReader(body)
	for {
		data, event, err := all.next()
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, err
		case isDone(data):
			return true, nil
		}
		if err := a.passOn(data, event, a.pieces > 0 || !isWhole(data), on); err != nil || a.ended {
			return a.ended, err
		}
	}
}

// isDone reports whether data are the mark of the end.
func isDone(data []byte) bool {
	return string(bytes.Trim(data, " \t\"")) == "[DONE]"
}

// passOn passes one document on, unless it is an error.
func (a *answer) passOn(doc []byte, event string, piece bool, on OnDocument) error {
	if w, found := findError(doc, event); found {
		return a.newReported(w.Redact(a.secret), doc)
	}
	if doc[0] != '{' { // a keep-alive, or text in place of an event
		a.note = string(doc[:min(len(doc), maxError)])
		return nil
	}
	if piece {
		doc, a.cut = joinCharacters(doc, a.cut)
	}
	err := on(doc, !piece)
	if piece {
		a.pieces++
	}
	switch {
	case err == nil && a.whole: // the answer continues after all
		a.whole = false
		a.endIn(apierror.MaxWait)
		return nil
	case err == nil:
		return nil
	case errors.Is(err, ErrComplete):
		a.ended = true
		return nil
	case errors.Is(err, ErrAwaitUsage):
		a.whole = true
		a.endIn(settleTime)
		return nil
	case !piece:
		return a.newFailure(doc, err)
	}
	return a.redact(err)
}

// drain reads the rest of a body for a moment, so that the connection can be
// used again.
func (a *answer) drain() {
	a.endIn(drainTimeout)
	_, _ = io.CopyN(io.Discard, a.resp.Body, maxError)
}
