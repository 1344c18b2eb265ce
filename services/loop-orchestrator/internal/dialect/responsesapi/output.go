package responsesapi

import (
	"encoding/json"
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// arguments is the only part of a call.
const arguments = "arguments"

// output is an output that may be incomplete.
type output struct {
	place   int    // in the answer
	id      string // the upstream's item id
	kind    model.Kind
	call    model.ToolCall
	parts   []*piece // of a message
	summary []*piece
	text    strings.Builder // reasoning, or arguments
	begun   json.RawMessage // the item as it was opened
	done    json.RawMessage // the complete item; nil until then
}

// piece is a part that may be incomplete.
type piece struct {
	n           int // the upstream's index
	typ         string
	text        strings.Builder
	annotations []json.RawMessage
	logprobs    []json.RawMessage
}

func (o *output) isCall() bool { return o.kind == model.Function || o.kind == model.Custom }

// delta returns what a listener gets of a piece. The first delta of an output
// has no piece.
func (o *output) delta(n int, p item.Part) model.Delta {
	d := model.Delta{Output: o.place, Kind: o.kind, Part: n, Piece: p}
	if o.isCall() {
		d.Part, d.Piece = 0, item.Part{}
		d.Call = model.ToolCall{ID: o.call.ID, Space: o.call.Space, Name: o.call.Name, Arguments: p.Text}
	}
	return d
}

// addPiece adds a piece to the part with the upstream's index n, and returns
// the part's place. Parts have the order of their first pieces.
func (o *output) addPiece(n int, p item.Part) (place int, err error) {
	if o.isCall() || p.Type == "reasoning_text" { // an item has one reasoning text
		o.text.WriteString(p.Text)
		return 0, nil
	}
	part, place, err := o.findPart(n, p.Type)
	if err != nil {
		return 0, err
	}
	part.text.WriteString(p.Text)
	part.annotations = append(part.annotations, p.Notes()...)
	if p.Logprobs != nil {
		part.logprobs = append(part.logprobs, p.Logprobs[1:len(p.Logprobs)-1])
	}
	return place, nil
}

func (o *output) partsOf(typ string) *[]*piece {
	if typ == "summary_text" {
		return &o.summary
	}
	return &o.parts
}

// findPart returns the part with the upstream's index n, and adds it if it is
// new. A part that changes its type is another part.
func (o *output) findPart(n int, typ string) (p *piece, place int, err error) {
	list := o.partsOf(typ)
	for place, p := range *list {
		if p.n == n && p.typ == typ {
			return p, place, nil
		}
	}
	if len(*list) >= maxItems {
		return nil, 0, fmt.Errorf("%w: an item has too many parts", model.ErrMalformed)
	}
	p = &piece{n: n, typ: typ}
	*list = append(*list, p)
	return p, len(*list) - 1, nil
}

// receivedText returns the text of a part so far.
func (o *output) receivedText(n int, typ string) string {
	if o.isCall() || typ == "reasoning_text" {
		return o.text.String()
	}
	for _, p := range *o.partsOf(typ) {
		if p.n == n && p.typ == typ {
			return p.text.String()
		}
	}
	return ""
}

// isPrefixOf reports whether the output so far is the beginning of a whole one.
func (o *output) isPrefixOf(whole model.Output) bool {
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
		return arePrefixes(o.summary, summary) && strings.HasPrefix(whole.Reasoning.Text, o.text.String())
	}
	return arePrefixes(o.parts, whole.Parts)
}

func arePrefixes(all []*piece, parts []item.Part) bool {
	if len(all) > len(parts) {
		return false
	}
	for n, h := range all {
		p := parts[n]
		if p.Type != h.typ || !strings.HasPrefix(p.Text, h.text.String()) || len(p.Notes()) < len(h.annotations) {
			return false
		}
	}
	return true
}

// toOutput returns the output so far as a complete one. ok is false for a call
// whose arguments are incomplete.
func (o *output) toOutput() (out model.Output, ok bool) {
	out.Kind = o.kind
	switch o.kind {
	case model.Function, model.Custom:
		out.Call = o.call
		out.Call.Arguments = o.text.String()
		text := out.Call.Arguments
		ok = o.kind == model.Custom || model.EmptyArguments(text) || json.Valid([]byte(text))
		out.Own = newOwn(nil, out)
		return out, ok
	case model.Reasoning:
		out.Reasoning.Text = o.text.String()
		for _, p := range o.summary {
			out.Reasoning.Summary = append(out.Reasoning.Summary, p.text.String())
		}
		out.Own = newOwn(o.toReasoningItem(), out)
		return out, true
	}
	for _, p := range o.parts {
		out.Parts = append(out.Parts, p.toPart())
	}
	return out, true
}

func (p *piece) toPart() item.Part {
	part := item.Part{Type: p.typ, Text: p.text.String()}
	if len(p.annotations) > 0 {
		part.Annotations = readAnnotations(joinArray(p.annotations))
	}
	if len(p.logprobs) > 0 {
		part.Logprobs = joinArray(p.logprobs)
	}
	return part
}

func joinArray(list []json.RawMessage) json.RawMessage {
	b := json.RawMessage("[")
	for i, one := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, one...)
	}
	return append(b, ']')
}

// toReasoningItem returns the reasoning so far as an item.
func (o *output) toReasoningItem() json.RawMessage {
	parts := func(typ string, texts ...string) json.RawMessage {
		var all []json.RawMessage
		for _, text := range texts {
			if text != "" {
				all = append(all, newMembers("type", typ, "text", text).json())
			}
		}
		return joinArray(all)
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
