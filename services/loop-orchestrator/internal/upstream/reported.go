package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// head is what tells the kinds of documents apart.
type head struct {
	object, typ string
	members     map[string]json.RawMessage
	choice      map[string]json.RawMessage // the first one
}

func readHead(doc []byte) head {
	var h head
	_ = json.Unmarshal(doc, &h.members) // what is no object has none
	_ = json.Unmarshal(h.members["object"], &h.object)
	_ = json.Unmarshal(h.members["type"], &h.typ)
	var choices []map[string]json.RawMessage
	if json.Unmarshal(h.members["choices"], &choices) == nil && len(choices) > 0 {
		h.choice = choices[0]
	}
	return h
}

func given(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

// isPiece tells whether a document that came as JSON is a piece of a stream.
func isPiece(doc []byte) bool {
	h := readHead(doc)
	return given(h.choice["delta"]) || strings.HasSuffix(h.object, ".chunk") || strings.HasPrefix(h.typ, "response.")
}

// isWhole tells whether a document that came as an event is a whole answer.
func isWhole(doc []byte) bool {
	if !bytes.Contains(doc, []byte(`"message"`)) && !bytes.Contains(doc, []byte(`"output"`)) && !bytes.Contains(doc, []byte(`"embedding"`)) {
		return false
	}
	h := readHead(doc)
	switch {
	case h.typ != "":
		return false
	case h.object == "response", h.object == "list" && given(h.members["data"]):
		return true
	}
	return given(h.choice["message"]) && !given(h.choice["delta"])
}

// findError finds an error in a document of an answer that came with status
// 200: in OpenAI's envelope, as vLLM's object "error", in a choice, or as an
// event of that name. Members that are there and say nothing are no error.
func findError(doc []byte, event string) (apierror.Words, bool) {
	if event != "error" && !bytes.Contains(doc, []byte(`error`)) {
		return apierror.Words{}, false
	}
	h := readHead(doc)
	v := h.members["error"]
	switch {
	case given(v) && string(v) != "false" && string(v) != `""` && string(v) != "[]":
	case h.object == "error", h.typ == "error":
		return apierror.Read(doc), true
	case given(h.choice["error"]):
		w := apierror.Read(h.choice["error"])
		return w, hasWords(w)
	case event == "error":
		return apierror.Read(doc), true
	default:
		return apierror.Words{}, false
	}
	w := apierror.Read(doc)
	if h.choice == nil && !given(h.members["output"]) {
		return w, true
	}
	// Beside an answer only an error that says something counts.
	return w, hasWords(apierror.Read(v))
}

// hasWords tells whether an error has words or a code of its own.
func hasWords(w apierror.Words) bool {
	ok := map[string]bool{"": true, "0": true, "200": true, "ok": true, "success": true}
	return w.Message != "" && !w.Excerpt || !ok[strings.ToLower(w.Code)]
}

// failureOf is the failure of a whole answer that cannot be understood: where
// it says something in words it is an error that came with status 200.
func (a *answer) failureOf(doc []byte, err error) error {
	var call *run.Failure
	if errors.As(err, &call) {
		return a.redacted(err)
	}
	w := apierror.Read(doc).Redact(a.secret)
	if w.Message != "" && (!w.Excerpt || doc[0] != '{') {
		return a.reported(w, doc)
	}
	return a.redacted(err)
}

func (a *answer) reported(w apierror.Words, doc []byte) *run.Failure {
	e := apierror.Reported(w)
	e.RetryAfter = max(e.RetryAfter, apierror.Wait(a.resp.Header, e.HTTPStatus, time.Now()))
	e.Raw = doc
	if e.Code == "upstream_unauthorized" || e.Code == "upstream_forbidden" {
		e.Message = credentialNote(a.secret != "", true) + " " + e.Message
	}
	return e
}

// redacted keeps the credential out of a failure that a dialect read.
func (a *answer) redacted(err error) error {
	var call *run.Failure
	if errors.As(err, &call) {
		call.Message = apierror.Redact(call.Message, a.secret)
		if apierror.Redact(call.Code, a.secret) != call.Code {
			call.Code = "server_error"
		}
		call.Own = []byte(apierror.Redact(string(call.Own), a.secret))
		if len(call.Own) == 0 {
			call.Own = nil
		}
	}
	return err
}
