package relay

import (
	"fmt"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Stream is an upstream's answer that comes in chunks. The counts are those of the last chunk that told some. It is not safe for
// concurrent use.
type Stream struct {
	InputTokens  int64
	OutputTokens int64

	request *Request
	choices map[string]bool // by index: it has its finish_reason
}

// NewStream is the answer to a request before its first chunk.
func NewStream(r *Request) *Stream { return &Stream{request: r, choices: map[string]bool{}} }

// Chunk takes one chunk in and returns it for the client, on one line and with the name that the client has for the model; nil is
// one that the client has not asked for. ErrMalformed: it is none.
func (s *Stream) Chunk(data []byte) ([]byte, error) {
	v, err := raw.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w: a chunk of %d bytes: %w", ErrMalformed, len(data), err)
	}
	choices := v.Field("choices")
	if choices.Kind() != raw.Array {
		return nil, fmt.Errorf("%w: a chunk has no choices", ErrMalformed)
	}
	for _, c := range choices.Elements() {
		index := string(c.Field("index"))
		s.choices[index] = s.choices[index] || c.Field("finish_reason").Given()
	}
	if usage := v.Field("usage"); usage.Given() {
		s.InputTokens, s.OutputTokens = count(usage.Field("prompt_tokens")), count(usage.Field("completion_tokens"))
		if choices.Len() == 0 && !s.request.Usage {
			return nil, nil
		}
	}
	return v.With("model", raw.AppendText(nil, s.request.Model)), nil
}

// Whole tells whether every choice has come to its end. It is how a stream that ends without a word is told from one that broke off.
func (s *Stream) Whole() bool {
	for _, finished := range s.choices {
		if !finished {
			return false
		}
	}
	return len(s.choices) > 0
}
