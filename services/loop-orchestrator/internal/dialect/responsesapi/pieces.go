package responsesapi

import (
	"encoding/json"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

func (s *stream) openPart(e streamEvent) error {
	p := e.member("part")
	typ := rawjson.Text(rawjson.Member(p, "type"))
	if typ != "output_text" && typ != "refusal" || s.isIgnored(e) {
		return nil
	}
	o, err := s.findOrOpen(e, model.Message)
	if o == nil || err != nil {
		return err
	}
	return s.emit(o, e.number("content_index", 0), item.Part{Type: typ})
}

// findOrOpen is findOutput for a piece. Text of an item that was not opened
// opens it. A call without a name cannot be opened yet, and is complete when it
// is done.
func (s *stream) findOrOpen(e streamEvent, k model.Kind) (*output, error) {
	if o := s.findOutput(e, e.itemID, k); o != nil || k == model.Function || k == model.Custom {
		return o, nil
	}
	o, err := s.openOutput(k, model.ToolCall{}, e.index, e.itemID)
	if err == nil {
		s.listen(o.delta(0, item.Part{}))
	}
	return o, err
}

// pieceEvent describes the events of one type: the part of an item that they
// continue, or complete.
type pieceEvent struct {
	kind   model.Kind
	typ    string
	member string // has the text
	index  string // has the part's index
	whole  bool
}

var pieceEvents = map[string]pieceEvent{
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

// addPiece adds the next piece of a part, or what is new of the whole part.
func (s *stream) addPiece(e streamEvent, p pieceEvent) error {
	v := e.member(p.member)
	if s.isIgnored(e) || !rawjson.IsSet(v) {
		return nil
	}
	part, n := item.Part{Type: p.typ}, e.number(p.index, 0)
	switch {
	case p.member == "annotation":
		part.Annotations = readAnnotations(slices.Concat(json.RawMessage("["), v, json.RawMessage("]")))
		if part.Annotations == nil {
			return nil // it could not be read again
		}
	case p.typ == arguments:
		part.Text = model.ReadArguments(v)
	default:
		part.Text = partText(v)
	}
	if part.Text == "" && part.Annotations == nil {
		return nil
	}
	o, err := s.findOrOpen(e, p.kind)
	if o == nil || err != nil {
		return err
	}
	if p.whole {
		rest, ok := strings.CutPrefix(part.Text, o.receivedText(n, p.typ))
		if part.Text = rest; !ok || rest == "" {
			return nil
		}
	} else if p.typ == "output_text" {
		part.Logprobs = model.Logprobs(e.member("logprobs"))
	}
	return s.emit(o, n, part)
}

func (s *stream) emit(o *output, n int, p item.Part) error {
	place, err := o.addPiece(n, p)
	if err != nil {
		return err
	}
	s.listen(o.delta(place, p))
	return nil
}
