package relay

import (
	"fmt"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Stream is an upstream's answer in chunks. The token counts are those of the
// last chunk that has some. Not safe for concurrent use.
type Stream struct {
	InputTokens  int64
	OutputTokens int64

	request *Request
	choices map[string]bool // by index: it has its finish_reason
}

// NewStream returns the answer to a request before its first chunk.
func NewStream(r *Request) *Stream { return &Stream{request: r, choices: map[string]bool{}} }

// Chunk reads a chunk and returns it for the client, on one line and with the
// client's name for the model; nil for a chunk that the client did not ask for
// or that is empty. It adds choices and, in a chat, deltas if the upstream
// leaves them out. Returns ErrMalformed for anything else.
func (s *Stream) Chunk(data []byte) ([]byte, error) {
	v, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: a chunk of %d bytes: %w", ErrMalformed, len(data), err)
	}
	if v.Kind() != raw.Object {
		return nil, fmt.Errorf("%w: a chunk is no object", ErrMalformed)
	}
	choices, usage := v.Field("choices"), v.Field("usage")
	if choices.Kind() != raw.Array {
		if v.Field("error").IsSet() {
			return nil, fmt.Errorf("%w: it is an error", ErrMalformed)
		}
		if !usage.IsSet() && !v.Field("object").IsSet() && !v.Field("id").IsSet() { // a sign of life
			return nil, nil
		}
		choices = raw.Value("[]")
		v = v.With("choices", choices)
	}
	if mended, ok := s.choicesOf(choices); ok {
		v = v.With("choices", mended)
	}
	if usage.IsSet() {
		s.InputTokens, s.OutputTokens = used(usage)
		if choices.Len() == 0 && !s.request.Usage {
			return nil, nil
		}
	}
	return v.With("model", raw.AppendText(nil, s.request.Model)), nil
}

// choicesOf records which choices have ended. mended is true if it added a
// missing delta, which clients rely on.
func (s *Stream) choicesOf(choices raw.Value) (all raw.Value, mended bool) {
	all = raw.Value("[")
	for i, c := range choices.Elements() {
		index := string(c.Field("index"))
		s.choices[index] = s.choices[index] || c.Field("finish_reason").Text() != ""
		if i > 0 {
			all = append(all, ',')
		}
		if forms[s.request.Endpoint].messages && c.Kind() == raw.Object && c.Field("delta").Kind() != raw.Object {
			mended = true
			delta := raw.Value("{}")
			if message := c.Field("message"); message.Kind() == raw.Object {
				delta = asDelta(message)
			}
			c = c.With("message", nil).With("delta", delta)
		}
		all = append(all, c...)
	}
	return append(all, ']'), mended
}

// Whole reports whether every choice has ended. It tells a stream without an
// end marker from one that broke off.
func (s *Stream) Whole() bool {
	for _, finished := range s.choices {
		if !finished {
			return false
		}
	}
	return len(s.choices) > 0
}
