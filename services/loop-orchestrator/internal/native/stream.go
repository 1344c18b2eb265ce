package native

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// most bounds the items of one answer and the parts of one item: a place beyond it is a fault of the upstream.
const most = 4096

type frame struct {
	Type       string          `json:"type"`
	Output     *int            `json:"output_index"`
	ItemID     string          `json:"item_id"`
	Content    int             `json:"content_index"`
	Summary    int             `json:"summary_index"`
	Item       json.RawMessage `json:"item"`
	Part       json.RawMessage `json:"part"`
	Delta      json.RawMessage `json:"delta"`
	Logprobs   json.RawMessage `json:"logprobs"`
	Annotation json.RawMessage `json:"annotation"`
	Response   json.RawMessage `json:"response"`
	Error      json.RawMessage `json:"error"`
}

// stream collects the events of one response. The response object of the last one is the answer; what was heard before has to be
// the beginning of it, for it is said already.
type stream struct {
	listen model.Listen
	heard  []*output
	at     map[int]*output         // by the upstream's place; nil: it is no part of the answer
	ids    map[string]int          // places, by the upstream's ids of the items: some servers name no places
	next   int                     // the upstream's first place at which nothing was opened
	done   map[int]json.RawMessage // items that are complete, by the upstream's place
	answer *model.Answer
}

// Stream reads a response that comes in events.
func (Dialect) Stream(listen model.Listen) model.Stream {
	return &stream{listen: listen, at: map[int]*output{}, ids: map[string]int{}, done: map[int]json.RawMessage{}}
}

// Event takes an event. Those that nobody knows, and those behind the last one, say nothing.
func (s *stream) Event(data []byte) error {
	if s.answer != nil {
		return nil
	}
	var e frame
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("%w: %d bytes that are no event of a response", model.ErrMalformed, len(data))
	}
	switch e.Type {
	case "response.output_item.added":
		return s.open(e)
	case "response.output_item.done":
		return s.close(e)
	case "response.content_part.added":
		return s.openPart(e)
	case "response.output_text.delta", "response.refusal.delta", "response.reasoning_text.delta", "response.reasoning.delta",
		"response.reasoning_summary_text.delta", "response.function_call_arguments.delta", "response.custom_tool_call_input.delta",
		"response.output_text.annotation.added":
		return s.piece(e)
	case "response.completed", "response.incomplete":
		return s.end(e)
	case "response.failed":
		r, err := parse(e.Response)
		if err != nil {
			return err
		}
		return failure(r.Error)
	case "error":
		if given(e.Error) {
			return failure(e.Error)
		}
		return failure(data)
	case "":
		if given(e.Error) { // as proxies say it
			return failure(e.Error)
		}
	}
	return nil
}

// Done takes the end of the stream.
func (s *stream) Done() {}

var errPlace = fmt.Errorf("%w: an item is out of its place", model.ErrMalformed)

// open begins an item. Items come in their order.
func (s *stream) open(e frame) error {
	k, known, err := kind(e.Item)
	if err != nil {
		return err
	}
	place := s.next
	if e.Output != nil {
		place = *e.Output
	}
	if place < s.next || place >= most {
		return errPlace
	}
	var it entry
	if err := json.Unmarshal(e.Item, &it); err != nil && known {
		return fmt.Errorf("%w: an item has members of other types", model.ErrMalformed)
	}
	s.next, s.ids[it.ID], s.at[place] = place+1, place, nil
	if !known {
		return nil
	}
	o := &output{place: len(s.heard), kind: k}
	if k == model.Function || k == model.Custom {
		if o.call, err = it.call(k); err != nil {
			return err
		}
		o.call.Arguments = "" // they come piece by piece
	}
	s.at[place] = o
	s.heard = append(s.heard, o)
	s.listen(o.delta(0, item.Part{}))
	return nil
}

// close keeps an item that is complete, for a response object that does not repeat it.
func (s *stream) close(e frame) error {
	place := len(s.done)
	if e.Output != nil {
		place = *e.Output
	}
	if place < 0 || place >= most {
		return errPlace
	}
	s.done[place] = e.Item
	return nil
}

// find is the item that an event speaks of; nil: it is no part of the answer.
func (s *stream) find(e frame) (*output, error) {
	place, named := s.ids[e.ItemID]
	if e.Output != nil {
		place, named = *e.Output, true
	}
	o, opened := s.at[place]
	if !named || !opened {
		return nil, fmt.Errorf("%w: an event speaks of an item that was not begun", model.ErrMalformed)
	}
	return o, nil
}

func (s *stream) openPart(e frame) error {
	var p part
	if json.Unmarshal(e.Part, &p) != nil {
		return fmt.Errorf("%w: a part of an item is none", model.ErrMalformed)
	}
	o, err := s.find(e)
	if o == nil || err != nil || o.kind != model.Message || p.Type != "output_text" && p.Type != "refusal" {
		return err
	}
	return s.say(o, e.Content, item.Part{Type: p.Type})
}

// types are the parts that events are pieces of.
var types = map[string]string{
	"response.output_text.delta": "output_text", "response.output_text.annotation.added": "output_text", "response.refusal.delta": "refusal",
	"response.reasoning_text.delta": "reasoning_text", "response.reasoning.delta": "reasoning_text",
	"response.reasoning_summary_text.delta": "summary_text", "response.function_call_arguments.delta": arguments,
	"response.custom_tool_call_input.delta": arguments,
}

// piece takes the next piece of a part.
func (s *stream) piece(e frame) error {
	o, err := s.find(e)
	if o == nil || err != nil {
		return err
	}
	p := item.Part{Type: types[e.Type]}
	if given(e.Annotation) {
		if p.Annotations = notes(slices.Concat(json.RawMessage("["), e.Annotation, json.RawMessage("]"))); p.Annotations == nil {
			return nil // it cannot be kept
		}
		return s.say(o, e.Content, p)
	}
	if json.Unmarshal(e.Delta, &p.Text) != nil {
		return fmt.Errorf("%w: a piece is no text", model.ErrMalformed)
	}
	if p.Text == "" {
		return nil
	}
	n := e.Content
	switch p.Type {
	case "output_text":
		p.Logprobs = model.Logprobs(e.Logprobs)
	case "summary_text":
		n = e.Summary
	}
	return s.say(o, n, p)
}

func (s *stream) say(o *output, n int, p item.Part) error {
	if err := o.hear(n, p); err != nil {
		return err
	}
	if p.Type == "reasoning_text" {
		n = 0 // an item has one text of thoughts
	}
	s.listen(o.delta(n, p))
	return nil
}

// end takes the response object. One without output has told it in its items.
func (s *stream) end(e frame) error {
	r, err := parse(e.Response)
	if err != nil {
		return err
	}
	if len(r.Output) == 0 {
		for _, place := range slices.Sorted(maps.Keys(s.done)) {
			r.Output = append(r.Output, s.done[place])
		}
	}
	a, err := r.answer()
	if err != nil {
		return err
	}
	if len(a.Outputs) < len(s.heard) {
		return errContradiction
	}
	for n, o := range s.heard {
		if !o.begins(a.Outputs[n]) {
			return errContradiction
		}
		a.Outputs[n].Call.ID = o.call.ID // vLLM and llama.cpp make up another one at the end
	}
	s.answer = &a
	return nil
}

// Answer is what the last response object says.
func (s *stream) Answer() (model.Answer, error) {
	if s.answer == nil {
		return model.Answer{}, model.ErrBrokenOff
	}
	return *s.answer, nil
}
