package native

import (
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// errContradiction: a client that listens cannot be told anything else any more, so the call is made anew.
var errContradiction = fmt.Errorf("%w: its last event contradicts what was said before", model.ErrMalformed)

// arguments is the one part of a call.
const arguments = "arguments"

// output is one output on its way: what was heard of it.
type output struct {
	place   int
	kind    model.Kind
	call    model.ToolCall
	parts   []*words // of a message
	summary []*words
	text    strings.Builder // of reasoning, or arguments
}

type words struct {
	typ   string
	text  strings.Builder
	notes int // annotations
}

// delta is what is told of a piece. The first one of an output has none.
func (o *output) delta(n int, p item.Part) model.Delta {
	d := model.Delta{Output: o.place, Kind: o.kind, Part: n, Piece: p}
	if o.kind == model.Function || o.kind == model.Custom {
		d.Part, d.Piece = 0, item.Part{}
		d.Call = model.ToolCall{ID: o.call.ID, Space: o.call.Space, Name: o.call.Name, Arguments: p.Text}
	}
	return d
}

// hear keeps a piece of the n-th part. Parts come in their order.
func (o *output) hear(n int, p item.Part) error {
	var list *[]*words
	switch {
	case n < 0 || n >= most:
		return fmt.Errorf("%w: a part is out of its place", model.ErrMalformed)
	case (o.kind == model.Function || o.kind == model.Custom) && p.Type == arguments, o.kind == model.Reasoning && p.Type == "reasoning_text":
		o.text.WriteString(p.Text)
		return nil
	case o.kind == model.Reasoning && p.Type == "summary_text":
		list = &o.summary
	case o.kind == model.Message && (p.Type == "output_text" || p.Type == "refusal"):
		list = &o.parts
	default:
		return fmt.Errorf("%w: a piece does not belong to its item", model.ErrMalformed)
	}
	if n > len(*list) {
		return fmt.Errorf("%w: a part is out of its place", model.ErrMalformed)
	}
	if n == len(*list) {
		*list = append(*list, &words{typ: p.Type})
	}
	h := (*list)[n]
	if h.typ != p.Type {
		return fmt.Errorf("%w: a piece does not belong to its part", model.ErrMalformed)
	}
	h.text.WriteString(p.Text)
	h.notes += len(p.Notes())
	return nil
}

// begins tells whether what was heard is the beginning of what was said.
func (o *output) begins(whole model.Output) bool {
	if whole.Kind != o.kind {
		return false
	}
	switch o.kind {
	case model.Function, model.Custom:
		return whole.Call.Space == o.call.Space && whole.Call.Name == o.call.Name && strings.HasPrefix(whole.Call.Arguments, o.text.String())
	case model.Reasoning:
		var summary []item.Part
		for _, text := range whole.Reasoning.Summary {
			summary = append(summary, item.Part{Type: "summary_text", Text: text})
		}
		return begin(o.summary, summary) && strings.HasPrefix(whole.Reasoning.Text, o.text.String())
	}
	return begin(o.parts, whole.Parts)
}

func begin(all []*words, parts []item.Part) bool {
	if len(all) > len(parts) {
		return false
	}
	for n, h := range all {
		p := parts[n]
		if p.Type != h.typ || !strings.HasPrefix(p.Text, h.text.String()) || len(p.Notes()) < h.notes {
			return false
		}
	}
	return true
}
