package chat

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// maxCalls bounds the calls of one answer: an index beyond it is a fault of the upstream.
const maxCalls = 4096

type chunk struct {
	Choices []struct {
		FinishReason *string   `json:"finish_reason"`
		Delta        said      `json:"delta"`
		Logprobs     *logprobs `json:"logprobs"`
	} `json:"choices"`
	Usage *usage          `json:"usage"`
	Error json.RawMessage `json:"error"`
}

// stream collects the chunks of one chat completion. Outputs are opened in the order in which their first pieces come: mostly the
// reasoning, the message, the calls.
type stream struct {
	listen   model.Listen
	outputs  []*output
	thinking *output
	message  *output
	calls    map[int]*output // by the upstream's index
	last     *output         // the call that spoke last
	finish   *string
	done     bool // the upstream said [DONE]
	usage    responses.Usage
}

// output is one output on its way.
type output struct {
	model.Output
	place            int
	text, refusal    strings.Builder
	textAt, refuseAt int // the parts' places; -1: none yet
	parts            int
	logprobs         []json.RawMessage
}

// Stream reads a chat completion that comes in chunks.
func (Dialect) Stream(listen model.Listen) model.Stream {
	return &stream{listen: listen, calls: map[int]*output{}}
}

// Event takes a chunk.
func (s *stream) Event(data []byte) error {
	var c chunk
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("%w: %d bytes that are no chunk of a chat completion", model.ErrMalformed, len(data))
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return toldError(c.Error)
	}
	if c.Usage != nil {
		s.usage = c.Usage.read()
	}
	if len(c.Choices) == 0 {
		return nil
	}
	first := c.Choices[0]
	s.think(first.Delta.thought())
	s.say(first.Delta, first.Logprobs.list())
	for _, t := range first.Delta.ToolCalls {
		if err := s.call(t); err != nil {
			return err
		}
	}
	if first.FinishReason != nil && *first.FinishReason != "" {
		s.finish = first.FinishReason
	}
	return nil
}

func (s *stream) open(kind model.Kind) *output {
	o := &output{place: len(s.outputs), textAt: -1, refuseAt: -1}
	o.Kind = kind
	s.outputs = append(s.outputs, o)
	return o
}

func (s *stream) think(text string) {
	if text == "" {
		return
	}
	if s.thinking == nil {
		s.thinking = s.open(model.Reasoning)
	}
	s.thinking.text.WriteString(text)
	s.listen(model.Delta{Output: s.thinking.place, Kind: model.Reasoning, Piece: item.Part{Type: "reasoning_text", Text: text}})
}

func (s *stream) say(d said, logprobs json.RawMessage) {
	if d.Content == "" && d.Refusal == "" {
		return
	}
	if s.message == nil {
		s.message = s.open(model.Message)
	}
	m := s.message
	part := func(at *int) int {
		if *at < 0 {
			*at = m.parts
			m.parts++
		}
		return *at
	}
	if d.Content != "" {
		m.text.WriteString(d.Content)
		if logprobs != nil {
			m.logprobs = append(m.logprobs, logprobs)
		}
		s.listen(model.Delta{
			Output: m.place, Kind: model.Message, Part: part(&m.textAt),
			Piece: item.Part{Type: "output_text", Text: d.Content, Logprobs: logprobs},
		})
	}
	if d.Refusal != "" {
		m.refusal.WriteString(d.Refusal)
		s.listen(model.Delta{Output: m.place, Kind: model.Message, Part: part(&m.refuseAt), Piece: item.Part{Type: "refusal", Text: d.Refusal}})
	}
}

// call takes a piece of a call. Servers that know no index say one call after the other, each with its name.
func (s *stream) call(t calledFor) error {
	o := s.last
	switch {
	case t.Index != nil && (*t.Index < 0 || *t.Index >= maxCalls), len(s.outputs) >= maxCalls:
		return fmt.Errorf("%w: too many tool calls", model.ErrMalformed)
	case t.Index != nil:
		o = s.calls[*t.Index]
	case t.Function.Name != "":
		o = nil
	}
	if o == nil {
		if t.Function.Name == "" {
			return errNameless
		}
		o = s.open(model.Function)
		o.Call.ID, o.Call.Name = t.ID, t.Function.Name
		if t.Index != nil {
			s.calls[*t.Index] = o
		}
	}
	s.last = o
	o.text.WriteString(t.Function.Arguments)
	s.listen(model.Delta{Output: o.place, Kind: model.Function, Call: model.ToolCall{
		ID: o.Call.ID, Name: o.Call.Name, Arguments: t.Function.Arguments,
	}})
	return nil
}

// Done takes the end of the stream.
func (s *stream) Done() { s.done = true }

// Answer is the whole of it. A stream that ends with [DONE] is whole without a
// finish_reason.
func (s *stream) Answer() (model.Answer, error) {
	if s.finish == nil {
		if !s.done {
			return model.Answer{}, model.ErrBrokenOff
		}
		s.finish = new(string)
	}
	a := model.Answer{Finish: finish(*s.finish), Usage: s.usage}
	for _, o := range s.outputs {
		a.Outputs = append(a.Outputs, o.whole())
	}
	return a, nil
}

func (o *output) whole() model.Output {
	out := o.Output
	switch o.Kind {
	case model.Reasoning:
		out.Reasoning = item.Reasoning{Text: o.text.String()}
	case model.Function:
		out.Call.Arguments = o.text.String()
	case model.Message:
		out.Parts = make([]item.Part, o.parts)
		if o.textAt >= 0 {
			out.Parts[o.textAt] = item.Part{Type: "output_text", Text: o.text.String(), Logprobs: join(o.logprobs)}
		}
		if o.refuseAt >= 0 {
			out.Parts[o.refuseAt] = item.Part{Type: "refusal", Text: o.refusal.String()}
		}
	}
	return out
}

// join makes one array of several.
func join(lists []json.RawMessage) json.RawMessage {
	var all []json.RawMessage
	for _, l := range lists {
		var some []json.RawMessage
		if json.Unmarshal(l, &some) == nil { // logprobs that are no list help nobody
			all = append(all, some...)
		}
	}
	if all == nil {
		return nil
	}
	b, err := json.Marshal(all)
	if err != nil { // raw messages that were read encode
		return nil
	}
	return b
}

// toldError is an error that an upstream tells in the middle of a stream.
func toldError(raw json.RawMessage) error {
	var e struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &e) != nil || e.Message == "" {
		e.Message = "The upstream reported an error in the middle of its answer."
	}
	return &model.CallError{Code: "server_error", Message: e.Message, Retriable: true}
}
