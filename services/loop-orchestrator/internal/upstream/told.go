package upstream

import (
	"bytes"
	"encoding/json"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/refusal"
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

// told finds an error in a document of an answer that came with status 200: in
// OpenAI's envelope, as vLLM's object "error", in a choice, or as an event of that
// name. Members that are there and say nothing are no error.
func told(doc []byte, event string) (refusal.Words, bool) {
	if event != "error" && !bytes.Contains(doc, []byte(`error`)) {
		return refusal.Words{}, false
	}
	h := readHead(doc)
	v := h.members["error"]
	switch {
	case given(v) && string(v) != "false" && string(v) != `""` && string(v) != "[]":
	case h.object == "error", h.typ == "error":
		return refusal.Read(doc), true
	case given(h.choice["error"]):
		w := refusal.Read(h.choice["error"])
		return w, says(w)
	case event == "error":
		return refusal.Read(doc), true
	default:
		return refusal.Words{}, false
	}
	w := refusal.Read(doc)
	if h.choice == nil && !given(h.members["output"]) {
		return w, true
	}
	// Beside an answer only an error that says something counts.
	return w, says(refusal.Read(v))
}

// says tells whether an error has words or a code of its own.
func says(w refusal.Words) bool {
	ok := map[string]bool{"": true, "0": true, "200": true, "ok": true, "success": true}
	return w.Message != "" && !w.Excerpt || !ok[strings.ToLower(w.Code)]
}
