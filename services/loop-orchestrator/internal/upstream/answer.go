package upstream

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/refusal"
)

// answer is an answer on its way.
type answer struct {
	resp     *http.Response
	secret   string
	complete func() // called when nothing more is expected of the body

	limited *io.LimitedReader
	broken  error // what ended the body, unless it came to its end
	pieces  int   // documents that were pieces of a stream
	ended   bool  // the rest of the body says nothing
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
	var call *model.CallError
	switch {
	case errors.As(err, &call):
		return false, call
	case a.limited.N <= 0, errors.Is(err, bufio.ErrTooLong):
		return false, tooLarge(a.resp)
	case a.broken != nil:
		return false, failed(ctx, a.broken)
	case err != nil:
		return false, &model.CallError{Code: "server_error", Message: err.Error(), HTTPStatus: a.resp.StatusCode, Retriable: true}
	case a.pieces == 0 && a.note != "":
		return false, a.meant([]byte(a.note), malformed("it has no events"))
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
	if w := refusal.Read(b).Redact(a.secret); w.Message != "" {
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

// json reads a body that begins as a JSON text. What follows the first document
// is read as lines, each a document or an event of its own.
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
	var list []json.RawMessage
	if doc[0] == '[' && json.Unmarshal(doc, &list) == nil {
		for _, one := range list {
			if err := a.take(one, "", isPiece(one), hear); err != nil || a.ended {
				return a.ended, err
			}
		}
	} else if err := a.take(doc, "", isPiece(doc), hear); err != nil || a.ended {
		return a.ended, err
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
	if w, told := told(doc, event); told {
		return toldBy(w.Redact(a.secret), doc)
	}
	if doc[0] != '{' { // a sign of life, or a text in place of an event
		a.note = string(doc[:min(len(doc), maxError)])
		return nil
	}
	err := hear(doc, !piece)
	if piece {
		a.pieces++
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrComplete):
		a.ended = true
		return nil
	case !piece:
		return a.meant(doc, err)
	}
	return a.redacted(err)
}

// meant is the failure of a whole answer that cannot be understood: where it says
// something in words it is an error that came with status 200.
func (a *answer) meant(doc []byte, err error) error {
	var call *model.CallError
	if errors.As(err, &call) {
		return a.redacted(err)
	}
	w := refusal.Read(doc).Redact(a.secret)
	if w.Message != "" && (!w.Excerpt || doc[0] != '{') {
		return toldBy(w, doc)
	}
	return a.redacted(err)
}

func toldBy(w refusal.Words, doc []byte) *model.CallError {
	e := refusal.Told(w)
	e.Raw = doc
	return e
}

// redacted keeps the credential out of a failure that a dialect read.
func (a *answer) redacted(err error) error {
	var told *model.CallError
	if errors.As(err, &told) {
		told.Message, told.Code = refusal.Redact(told.Message, a.secret), refusal.Redact(told.Code, a.secret)
		told.Own = []byte(refusal.Redact(string(told.Own), a.secret))
		if len(told.Own) == 0 {
			told.Own = nil
		}
	}
	return err
}

// drain reads the rest of a body for a moment, so that the connection can be used
// again.
func (a *answer) drain() {
	a.complete()
	_, _ = io.CopyN(io.Discard, a.resp.Body, maxError)
}

// unpacked is a body without compression, white space and byte order mark at its
// beginning. Servers compress without saying so.
func unpacked(from io.Reader) (*bufio.Reader, error) {
	body := bufio.NewReader(from)
	magic, _ := body.Peek(2)
	if len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, malformed("it is no gzip data")
		}
		body = bufio.NewReader(z)
	} else if len(magic) == 2 && magic[0] == 0x78 && (magic[1] == 0x01 || magic[1] == 0x9c || magic[1] == 0xda) {
		z, err := zlib.NewReader(body)
		if err != nil {
			return nil, malformed("it is no deflate data")
		}
		body = bufio.NewReader(z)
	}
	for {
		first, err := body.Peek(1)
		switch {
		case err != nil:
			return body, nil
		case first[0] == 0xef:
			if mark, _ := body.Peek(3); string(mark) != "\ufeff" {
				return body, nil
			}
			_, _ = body.Discard(3)
		case bytes.ContainsRune([]byte(" \t\r\n"), rune(first[0])):
			_, _ = body.Discard(1)
		default:
			return body, nil
		}
	}
}

// unpackedError is the beginning of the body of an error; an excerpt is enough,
// and none is no reason to fail otherwise.
func unpackedError(resp *http.Response) []byte {
	body, err := unpacked(io.LimitReader(resp.Body, maxError))
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxError))
	return b
}
