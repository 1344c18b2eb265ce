package responsesapi

import (
	"encoding/json"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

func (s *stream) openPart(e frame) error {
	p := e.member("part")
	typ := rawjson.Text(rawjson.Member(p, "type"))
	if typ != "output_text" && typ != "refusal" || s.ignored(e) {
		return nil
	}
	o, err := s.target(e, model.Message)
	if o == nil || err != nil {
		return err
	}
	return s.say(o, e.number("content_index", 0), item.Part{Type: typ})
}

// target is find for a piece. Text of an item that was not begun begins it; a
// call without its name cannot be told, and comes when it is finished.
func (s *stream) target(e frame, k model.Kind) (*output, error) {
	if o := s.find(e, e.itemID, k); o != nil || k == model.Function || k == model.Custom {
		return o, nil
	}
	o, err := s.begin(k, model.ToolCall{}, e.output, e.itemID)
	if err == nil {
		s.listen(o.delta(0, item.Part{}))
	}
	return o, err
}

// partOf is the part of an item that an event is a piece of, or the whole.
type partOf struct {
	kind   model.Kind
	typ    string
	member string // of the text
	index  string // the part's place
	whole  bool
}

var pieces = map[string]partOf{
	"response.output_text.delta":             {model.Message, "output_text", "delta", "content_index", false},
	"response.output_text.done":              {model.Message, "output_text", "text", "content_index", true},
	"response.output_text.annotation.added":  {model.Message, "output_text", "annotation", "content_index", false},
	"response.refusal.delta":                 {model.Message, "refusal", "delta", "content_index", false},
	"response.refusal.done":                  {model.Message, "refusal", "refusal", "content_index", true},
	"response.reasoning_text.delta":          {model.Reasoning, "reasoning_text", "delta", "", false},
	"response.reasoning_text.done":           {model.Reasoning, "reasoning_text", "text", "", true},
	"response.reasoning.delta":               {model.Reasoning, "reasoning_text", "delta", "", false},
	"response.reasoning_summary_text.delta":  {model.Reasoning, "summary_text", "delta", "summary_index", false},
	"response.reasoning_summary_text.done":   {model.Reasoning, "summary_text", "text", "summary_index", true},
	"response.function_call_arguments.delta": {model.Function, arguments, "delta", "", false},
	"response.function_call_arguments.done":  {model.Function, arguments, "arguments", "", true},
	"response.custom_tool_call_input.delta":  {model.Custom, arguments, "delta", "", false},
	"response.custom_tool_call_input.done":   {model.Custom, arguments, "input", "", true},
}

// piece takes the next piece of a part, or the whole of it, of which only what
// was not heard is new.
func (s *stream) piece(e frame, p partOf) error {
	v := e.member(p.member)
	if s.ignored(e) || !rawjson.Given(v) {
		return nil
	}
	part, n := item.Part{Type: p.typ}, e.number(p.index, 0)
	switch {
	case p.member == "annotation":
		if part.Annotations = notes(slices.Concat(json.RawMessage("["), v, json.RawMessage("]"))); part.Annotations == nil {
			return nil // it cannot be kept
		}
	case p.typ == arguments:
		part.Text = model.ReadArguments(v)
	default:
		part.Text = words(v)
	}
	if part.Text == "" && part.Annotations == nil {
		return nil
	}
	o, err := s.target(e, p.kind)
	if o == nil || err != nil {
		return err
	}
	if p.whole {
		rest, ok := strings.CutPrefix(part.Text, o.heardOf(n, p.typ))
		if part.Text = rest; !ok || rest == "" {
			return nil
		}
	} else if p.typ == "output_text" {
		part.Logprobs = model.Logprobs(e.member("logprobs"))
	}
	return s.say(o, n, part)
}

func (s *stream) say(o *output, n int, p item.Part) error {
	place, err := o.hear(n, p)
	if err != nil {
		return err
	}
	s.listen(o.delta(place, p))
	return nil
}
