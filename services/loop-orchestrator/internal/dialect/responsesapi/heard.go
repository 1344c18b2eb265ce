package responsesapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// arguments is the one part of a call.
const arguments = "arguments"

// output is one output on its way: what was heard of it.
type output struct {
	place   int
	id      string // the upstream's, of the item
	kind    model.Kind
	call    model.ToolCall
	parts   []*piece // of a message
	summary []*piece
	text    strings.Builder // of reasoning, or arguments
	begun   json.RawMessage // the item, as it began
	done    json.RawMessage // the item, once it is complete
}

// piece is a part on its way.
type piece struct {
	n        int // the upstream's place of it
	typ      string
	text     strings.Builder
	notes    []json.RawMessage // annotations
	logprobs []json.RawMessage
}

func (o *output) isCall() bool { return o.kind == model.Function || o.kind == model.Custom }

// delta is what is told of a piece. The first one of an output has none.
func (o *output) delta(n int, p item.Part) model.Delta {
	d := model.Delta{Output: o.place, Kind: o.kind, Part: n, Piece: p}
	if o.isCall() {
		d.Part, d.Piece = 0, item.Part{}
		d.Call = model.ToolCall{ID: o.call.ID, Space: o.call.Space, Name: o.call.Name, Arguments: p.Text}
	}
	return d
}

// hear keeps a piece of the part that the upstream calls the n-th, and returns
// the part's place. Parts have the order in which they begin.
func (o *output) hear(n int, p item.Part) (place int, err error) {
	if o.isCall() || p.Type == "reasoning_text" { // an item has one text of thoughts
		o.text.WriteString(p.Text)
		return 0, nil
	}
	part, place, err := o.part(n, p.Type)
	if err != nil {
		return 0, err
	}
	part.text.WriteString(p.Text)
	part.notes = append(part.notes, p.Notes()...)
	if p.Logprobs != nil {
		part.logprobs = append(part.logprobs, p.Logprobs[1:len(p.Logprobs)-1])
	}
	return place, nil
}

func (o *output) list(typ string) *[]*piece {
	if typ == "summary_text" {
		return &o.summary
	}
	return &o.parts
}

// part is the part that the upstream calls the n-th. One that changes its type
// is another.
func (o *output) part(n int, typ string) (p *piece, place int, err error) {
	list := o.list(typ)
	for place, p := range *list {
		if p.n == n && p.typ == typ {
			return p, place, nil
		}
	}
	if len(*list) >= most {
		return nil, 0, fmt.Errorf("%w: an item has too many parts", model.ErrMalformed)
	}
	p = &piece{n: n, typ: typ}
	*list = append(*list, p)
	return p, len(*list) - 1, nil
}

// heardOf is the text of a part so far.
func (o *output) heardOf(n int, typ string) string {
	if o.isCall() || typ == "reasoning_text" {
		return o.text.String()
	}
	for _, p := range *o.list(typ) {
		if p.n == n && p.typ == typ {
			return p.text.String()
		}
	}
	return ""
}

// begins tells whether what was heard is the beginning of what was said.
func (o *output) begins(whole model.Output) bool {
	if whole.Kind != o.kind {
		return false
	}
	switch o.kind {
	case model.Function, model.Custom:
		return whole.Call.Space == o.call.Space && whole.Call.Name == o.call.Name &&
			strings.HasPrefix(whole.Call.Arguments, o.text.String())
	case model.Reasoning:
		var summary []item.Part
		for _, text := range whole.Reasoning.Summary {
			summary = append(summary, item.Part{Type: "summary_text", Text: text})
		}
		return begin(o.summary, summary) && strings.HasPrefix(whole.Reasoning.Text, o.text.String())
	}
	return begin(o.parts, whole.Parts)
}

func begin(all []*piece, parts []item.Part) bool {
	if len(all) > len(parts) {
		return false
	}
	for n, h := range all {
		p := parts[n]
		if p.Type != h.typ || !strings.HasPrefix(p.Text, h.text.String()) || len(p.Notes()) < len(h.notes) {
			return false
		}
	}
	return true
}

// said is what was heard, as the whole of it. ok is false for a call that was
// cut.
func (o *output) said() (out model.Output, ok bool) {
	out.Kind = o.kind
	switch o.kind {
	case model.Function, model.Custom:
		out.Call = o.call
		out.Call.Arguments = o.text.String()
		ok = o.kind == model.Custom || model.EmptyArguments(out.Call.Arguments) || json.Valid([]byte(out.Call.Arguments))
		out.Own = newOwn(nil, out)
		return out, ok
	case model.Reasoning:
		out.Reasoning.Text = o.text.String()
		for _, p := range o.summary {
			out.Reasoning.Summary = append(out.Reasoning.Summary, p.text.String())
		}
		out.Own = newOwn(o.reasoning(), out)
		return out, true
	}
	for _, p := range o.parts {
		out.Parts = append(out.Parts, p.whole())
	}
	return out, true
}

func (p *piece) whole() item.Part {
	part := item.Part{Type: p.typ, Text: p.text.String()}
	if len(p.notes) > 0 {
		part.Annotations = notes(join(p.notes))
	}
	if len(p.logprobs) > 0 {
		part.Logprobs = join(p.logprobs)
	}
	return part
}

func join(list []json.RawMessage) json.RawMessage {
	b := json.RawMessage("[")
	for i, one := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, one...)
	}
	return append(b, ']')
}

// reasoning is what was heard of reasoning, as an item.
func (o *output) reasoning() json.RawMessage {
	parts := func(typ string, texts ...string) json.RawMessage {
		var all []json.RawMessage
		for _, text := range texts {
			if text != "" {
				all = append(all, newMembers("type", typ, "text", text).json())
			}
		}
		return join(all)
	}
	var summary []string
	for _, p := range o.summary {
		summary = append(summary, p.text.String())
	}
	m := members{"summary": parts("summary_text", summary...), "content": parts("reasoning_text", o.text.String())}
	if o.id != "" {
		m["id"] = rawjson.Quote(o.id)
	}
	return m.json()
}
