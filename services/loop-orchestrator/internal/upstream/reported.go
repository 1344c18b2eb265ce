package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream/apierror"
)

// head is the part of a document that shows its kind.
type head struct {
	doc         json.RawMessage
	object, typ string
	choice      json.RawMessage // the first one
}

func readHead(doc []byte) head {
	v, ok := rawjson.Valid(doc)
	if !ok {
		return head{}
	}
	h := head{doc: v, object: rawjson.Text(rawjson.Member(v, "object")), typ: rawjson.Text(rawjson.Member(v, "type"))}
	for c := range rawjson.Elements(h.member("choices")) {
		h.choice = c
		break
	}
	return h
}

func (h head) member(name string) json.RawMessage { return rawjson.Member(h.doc, name) }

func (h head) ofChoice(name string) json.RawMessage { return rawjson.Member(h.choice, name) }

// isPiece reports whether a JSON document is a piece of a stream.
func isPiece(doc []byte) bool {
	h := readHead(doc)
	return rawjson.IsSet(h.ofChoice("delta")) || strings.HasSuffix(h.object, ".chunk") ||
		strings.HasPrefix(h.typ, "response.")
}

// isWhole reports whether the data of an event is a whole answer.
func isWhole(doc []byte) bool {
	has := func(name string) bool { return bytes.Contains(doc, []byte(name)) }
	if !has(`"message"`) && !has(`"output"`) && !has(`"embedding"`) {
		return false
	}
	h := readHead(doc)
	switch {
	case h.typ != "":
		return false
	case h.object == "response", h.object == "list" && rawjson.IsSet(h.member("data")):
		return true
	}
	return rawjson.IsSet(h.ofChoice("message")) && !rawjson.IsSet(h.ofChoice("delta"))
}

// findError finds an error in a document that came with status 200: in OpenAI's
// envelope, as vLLM's object "error", in a choice, or as an event of that name.
// Dialects rely on it and do not look for errors themselves.
func findError(doc []byte, event string) (apierror.Details, bool) {
	if event != "error" && !bytes.Contains(doc, []byte(`error`)) {
		return apierror.Details{}, false
	}
	h := readHead(doc)
	top := h.member("error")
	answered := rawjson.Kind(h.choice) == '{' || rawjson.IsSet(h.member("output"))
	switch {
	case !isEmpty(top) && !answered:
		return apierror.Read(doc), true
	case !isEmpty(top) && isError(top):
		w := apierror.Read(doc)
		if w.Excerpt { // of the answer
			w.Message = ""
		}
		return w, true
	case isEmpty(top) && (h.object == "error" || h.typ == "error"):
		return apierror.Read(doc), true
	case isError(h.ofChoice("error")):
		return apierror.Read(h.ofChoice("error")), true
	case isEmpty(top) && event == "error":
		return apierror.Read(doc), true
	}
	return apierror.Details{}, false
}

// isEmpty reports whether an error member is absent or of a form that servers
// send for no error.
func isEmpty(v json.RawMessage) bool {
	return !rawjson.IsSet(v) || string(v) == "false" || string(v) == `""` || string(v) == "[]"
}

// okCodes are codes that servers send beside a good answer.
var okCodes = map[string]bool{"": true, "0": true, "200": true, "ok": true, "success": true}

// isError reports whether an error member beside an answer is an error: some
// servers send it with empty members.
func isError(v json.RawMessage) bool {
	if isEmpty(v) {
		return false
	}
	if rawjson.Kind(v) != '{' {
		return true
	}
	w := apierror.Read(v)
	typ := rawjson.Scalar(rawjson.Member(v, "type"))
	return w.Message != "" && !w.Excerpt || !okCodes[strings.ToLower(w.Code)] || typ != ""
}

// newFailure returns the failure of a whole answer that the dialect could not
// decode. If the document has the words of an error, it is an error that came
// with status 200.
func (a *answer) newFailure(doc []byte, err error) error {
	var call *run.Failure
	if errors.As(err, &call) {
		return a.redact(err)
	}
	w := apierror.Read(doc).Redact(a.secret)
	if w.Message != "" && (!w.Excerpt || doc[0] != '{') {
		return a.newReported(w, doc)
	}
	return a.redact(err)
}

// newReported returns the failure of an error that the answer reports.
func (a *answer) newReported(w apierror.Details, doc []byte) *run.Failure {
	e := apierror.Reported(w)
	e.RetryAfter = max(e.RetryAfter, apierror.Wait(a.resp.Header, e.HTTPStatus, time.Now()))
	e.Raw = doc
	if e.Code == run.CodeUnauthorized || e.Code == run.CodeForbidden {
		e.Message = credentialNote(a.secret != "") + " " + e.Message
	}
	return e
}

// redact removes the credential from a failure that a dialect returned.
func (a *answer) redact(err error) error {
	var call *run.Failure
	if errors.As(err, &call) {
		call.Message = apierror.Redact(call.Message, a.secret)
		if apierror.Redact(call.Code, a.secret) != call.Code {
			call.Code = run.CodeServerError
		}
		call.Own = []byte(apierror.Redact(string(call.Own), a.secret))
		if len(call.Own) == 0 {
			call.Own = nil
		}
	}
	return err
}
