package chat

import (
	"encoding/json"

	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// own is what an upstream attached to an output, as stored in model.Output.Own.
// It is sent back with the turn.
type own struct {
	// ID is the upstream's id of a call. Call and Function are the members of
	// the call and of its function that chat completions does not define.
	ID       string          `json:"id,omitempty"`
	Call     json.RawMessage `json:"call,omitempty"`
	Function json.RawMessage `json:"function,omitempty"`
	// Message has the members of the message that chat completions does not
	// define. Content is the content of the message if it has parts other than
	// text. Reasoning names the members that had the reasoning. All three are
	// set for the first output of a turn only.
	Message   json.RawMessage `json:"message,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`
	Reasoning []string        `json:"reasoning,omitempty"`
}

// encode returns the JSON of o; nil if o is empty.
func (o own) encode() json.RawMessage {
	b, err := json.Marshal(o)
	if err != nil || len(b) <= len("{}") { // raw messages that were read encode
		return nil
	}
	return b
}

// decodeOwn decodes what was attached to an output. It returns an empty own for
// records of older versions and of other dialects.
func decodeOwn(raw json.RawMessage) own {
	var o own
	if raw != nil && json.Unmarshal(raw, &o) != nil {
		return own{}
	}
	return o
}

// join copies what belongs to the whole message.
func (o *own) join(other own) {
	if other.Message != nil {
		o.Message = other.Message
	}
	if other.Content != nil {
		o.Content = other.Content
	}
	o.Reasoning = append(o.Reasoning, other.Reasoning...)
}

// keepID returns the id, or "" if it exceeds the rest of maxAttached.
func (s *stream) keepID(id string) string {
	if s.left -= len(id); s.left < 0 {
		s.left += len(id)
		return ""
	}
	return id
}

// keepParts keeps content in parts, which is sent back unchanged.
func (s *stream) keepParts(d delta) {
	if !s.listed && !d.listed || s.listed && s.repeats {
		return
	}
	one := func(b []byte) { s.attached.add(contentMember, append(append([]byte("["), b...), ']'), &s.left) }
	plain := func(text string) []byte {
		return append(rawjson.AppendQuote([]byte(`{"type":"text","text":`), text), '}')
	}
	if !s.listed && s.message != nil && s.message.text.Len() > 0 {
		one(plain(s.message.text.String()))
	}
	s.listed = true
	for _, p := range d.content {
		s.kinds = s.kinds || p.kind != textPart
		switch {
		case d.listed:
			one(p.raw)
		case p.text != "":
			one(plain(p.text))
		}
	}
}
