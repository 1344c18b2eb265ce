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

// answer is an answer on its way.
type answer struct {
	resp   *http.Response
	secret string
	endIn  func(time.Duration) // ends the body, unless it is called again before

	limited *io.LimitedReader
	broken  error  // what ended the body, unless it came to its end
	pieces  int    // documents that were pieces of a stream
	cut     []byte // the beginning of a character, whose end the next piece has
	whole   bool   // the pieces so far are an answer
	ended   bool   // the rest of the body says nothing
	note    string
}

// form is how a body is written.
type form int

const (
	nothing form = iota
	events
	document
	other
)

// read passes the documents of the answer to hear.
func (a *answer) read(ctx context.Context, hear Hear) (done bool, err error) {
	a.limited = &io.LimitedReader{N: maxStream}
	if a.limited.R, err = unpacked((*tracked)(a)); err == nil {
		done, err = a.documents(bufio.NewReader(a.limited), hear)
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
		return false, tooLarge(a.resp)
	case a.broken != nil:
		return false, failed(ctx, a.broken)
	case err != nil:
		return false, &run.Failure{Code: run.CodeServerError, Message: err.Error(), HTTPStatus: a.resp.StatusCode, Retriable: true}
	case a.pieces == 0 && a.note != "":
		return false, a.failureOf([]byte(a.note), malformed("it has no events"))
	}
	return false, nil
}

// tracked is the answer as the reader of its body. It keeps the error of the
// network, which readers on top of it hide.
type tracked answer

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.resp.Body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.broken = err
	}
	return n, err
}

func (a *answer) documents(body *bufio.Reader, hear Hear) (done bool, err error) {
	switch a.form(body) {
	case document:
		return a.json(body, hear)
	case events:
		return a.events(body, hear)
	case nothing:
		return false, malformed("it is empty")
	}
	b, err := io.ReadAll(io.LimitReader(body, maxError))
	if err != nil {
		return false, fmt.Errorf("read an answer: %w", err)
	}
	if encoding := a.resp.Header.Get("Content-Encoding"); encoding != "" {
		return false, malformed(fmt.Sprintf("it is encoded as %q, which was not asked for", encoding))
	}
	why := fmt.Sprintf("%d bytes that are neither JSON nor events", len(b))
	if w := apierror.Read(b).Redact(a.secret); w.Message != "" {
		why = "it is neither JSON nor events: " + w.Message
	}
	return false, malformed(why)
}

// form looks at the first bytes of a body. It waits for no more of them than it
// needs.
func (a *answer) form(body *bufio.Reader) form {
	first, err := body.Peek(1)
	if err != nil {
		return nothing
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
	return other
}

// json reads a body that begins as a JSON text: documents one after the other,
// or a list of them. What follows and is none is read as lines, each a document
// or an event of its own.
func (a *answer) json(body *bufio.Reader, hear Hear) (done bool, err error) {
	a.limited.N = min(a.limited.N, maxAnswer)
	d := json.NewDecoder(body)
	var doc json.RawMessage
	if err := d.Decode(&doc); err != nil {
		if a.broken != nil || a.limited.N <= 0 {
			return false, fmt.Errorf("read an answer: %w", err)
		}
		return false, malformed(fmt.Sprintf("%d bytes that are no JSON document", d.InputOffset()+int64(buffered(d))))
	}
	a.limited.N += maxStream - maxAnswer
	for {
		docs := []json.RawMessage{doc}
		if doc[0] == '[' {
			docs = nil
			_ = json.Unmarshal(doc, &docs) // it was decoded above
		}
		for _, one := range docs {
			if err := a.take(one, "", a.pieces > 0 || isPiece(one), hear); err != nil || a.ended {
				return a.ended, err
			}
		}
		doc = nil
		if d.Decode(&doc) != nil || doc[0] != '{' {
			break
		}
	}
	return a.events(bufio.NewReader(io.MultiReader(d.Buffered(), body)), hear)
}

func buffered(d *json.Decoder) int {
	n, _ := io.Copy(io.Discard, d.Buffered())
	return int(n)
}

// events reads a body of server-sent events, or of lines that are documents.
func (a *answer) events(body *bufio.Reader, hear Hear) (done bool, err error) {
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
		if err := a.take(data, event, a.pieces > 0 || !isWhole(data), hear); err != nil || a.ended {
			return a.ended, err
		}
	}
}

// isDone tells whether data are the mark of the end.
func isDone(data []byte) bool {
	return string(bytes.Trim(data, " \t\"")) == "[DONE]"
}

// take passes one document on, unless it is an error.
func (a *answer) take(doc []byte, event string, piece bool, hear Hear) error {
	if w, told := findError(doc, event); told {
		return a.reported(w.Redact(a.secret), doc)
	}
	if doc[0] != '{' { // a sign of life, or a text in place of an event
		a.note = string(doc[:min(len(doc), maxError)])
		return nil
	}
	if piece {
		doc, a.cut = mend(doc, a.cut)
	}
	err := hear(doc, !piece)
	if piece {
		a.pieces++
	}
	switch {
	case err == nil && a.whole: // it goes on after all
		a.whole = false
		a.endIn(apierror.MaxWait)
		return nil
	case err == nil:
		return nil
	case errors.Is(err, ErrComplete):
		a.ended = true
		return nil
	case errors.Is(err, ErrWhole):
		a.whole = true
		a.endIn(settle)
		return nil
	case !piece:
		return a.failureOf(doc, err)
	}
	return a.redacted(err)
}

// drain reads the rest of a body for a moment, so that the connection can be
// used again.
func (a *answer) drain() {
	a.endIn(linger)
	_, _ = io.CopyN(io.Discard, a.resp.Body, maxError)
}
