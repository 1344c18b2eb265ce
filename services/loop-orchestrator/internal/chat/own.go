package chat

import (
	"encoding/json"

	"windlass.dev/windlass/services/internal/chain"
)

// own is what an upstream attached to an output of its answer, as the record of
// the turn keeps it (model.Output.Own). It goes back with the turn.
type own struct {
	// ID, Call and Function are of a call: its id, and the members of it and of
	// its function that chat completions does not know.
	ID       string          `json:"id,omitempty"`
	Call     json.RawMessage `json:"call,omitempty"`
	Function json.RawMessage `json:"function,omitempty"`
	// Message is further members of the message, Content its content if that
	// has parts that are no text, and Reasoning the members by which the
	// reasoning came. The first output of a turn has them.
	Message   json.RawMessage `json:"message,omitempty"`
	Content   json.RawMessage `json:"content,omitempty"`
	Reasoning []string        `json:"reasoning,omitempty"`
}

// encode is the JSON of it; nil if there is nothing.
func (o own) encode() json.RawMessage {
	b, err := json.Marshal(o)
	if err != nil || len(b) <= len("{}") { // raw messages that were read encode
		return nil
	}
	return b
}

// readOwn reads what is kept of an item of a turn. Records that another version
// or dialect wrote have nothing.
func readOwn(t chain.Turn, index int) own {
	var o own
	if raw := t.Own[index]; raw != nil && json.Unmarshal(raw, &o) != nil {
		return own{}
	}
	return o
}

// join takes over what is attached to the turn of an output.
func (o *own) join(other own) {
	if other.Message != nil {
		o.Message = other.Message
	}
	if other.Content != nil {
		o.Content = other.Content
	}
	o.Reasoning = append(o.Reasoning, other.Reasoning...)
}

// keepID returns an id that is kept; empty if there is no room for it.
func (s *stream) keepID(id string) string {
	if s.left -= len(id); s.left < 0 {
		s.left += len(id)
		return ""
	}
	return id
}

// keepParts keeps content that came in parts, for it goes back as it came.
func (s *stream) keepParts(d said) {
	if !s.listed && !d.listed || s.listed && s.again {
		return
	}
	one := func(b []byte) { s.attached.add(byContent, append(append([]byte("["), b...), ']'), &s.left) }
	plain := func(text string) []byte { return append(appendText([]byte(`{"type":"text","text":`), text), '}') }
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
