package relay

import (
	"fmt"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Stream is an upstream's answer that comes in chunks. The counts are those of
// the last chunk that told some. It is not safe for concurrent use.
type Stream struct {
	InputTokens  int64
	OutputTokens int64

	request *Request
	choices map[string]bool // by index: it has its finish_reason
}

// NewStream is the answer to a request before its first chunk.
func NewStream(r *Request) *Stream { return &Stream{request: r, choices: map[string]bool{}} }

// Chunk takes one chunk in and returns it for the client, on one line and with
// the name that the client has for the model; nil is one that the client has
// not asked for, or that says nothing. Clients get choices and, in a chat,
// their deltas though the upstream leaves them out. It returns ErrMalformed
// if data is not a chunk.
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
		if v.Field("error").Present() {
			return nil, fmt.Errorf("%w: it is an error", ErrMalformed)
		}
		if !usage.Present() && !v.Field("object").Present() && !v.Field("id").Present() { // a sign of life
			return nil, nil
		}
		choices = raw.Value("[]")
		v = v.With("choices", choices)
	}
	if mended, ok := s.choicesOf(choices); ok {
		v = v.With("choices", mended)
	}
	if usage.Present() {
		s.InputTokens, s.OutputTokens = used(usage)
		if choices.Len() == 0 && !s.request.Usage {
			return nil, nil
		}
	}
	return v.With("model", raw.AppendText(nil, s.request.Model)), nil
}

// choicesOf notes which choices have come to their end. mended is true if one
// of them lacked its delta, which clients rely on.
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

// Whole reports whether every choice has ended. It distinguishes a stream that
// ends without [DONE] from one that broke off.
func (s *Stream) Whole() bool {
	for _, finished := range s.choices {
		if !finished {
			return false
		}
	}
	return len(s.choices) > 0
}
