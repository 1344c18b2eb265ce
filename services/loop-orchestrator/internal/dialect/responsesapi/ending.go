package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// errContradiction: a client that listens cannot be told anything else any
// more, and a tool must not act on half a call; so the model is called again.
var errContradiction = fmt.Errorf("%w: its last event contradicts what was said before", model.ErrMalformed)

// loosely is an item that was finished and never begun.
type loosely struct {
	place int
	item  json.RawMessage
}

// final is an item of the last response object.
type final struct {
	entry
	taken bool
}

// finals are the items of the last response object, and those that were only
// finished before it and that it lacks.
func (s *stream) finals(output []json.RawMessage) ([]*final, error) {
	var all, before []*final
	add := func(to *[]*final, raw json.RawMessage) error {
		it, known, err := read(raw)
		if err == nil && known {
			*to = append(*to, &final{entry: it})
		}
		return err
	}
	for _, raw := range output {
		if err := add(&all, raw); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(s.finished, func(a, b loosely) int { return a.place - b.place })
	for _, one := range s.finished {
		if err := add(&before, one.item); err != nil {
			return nil, err
		}
	}
	before = slices.DeleteFunc(before, func(b *final) bool {
		return slices.ContainsFunc(all, func(f *final) bool { return f.same(b) })
	})
	return append(before, all...), nil
}

func (f *final) isCall() bool { return f.Kind == model.Function || f.Kind == model.Custom }

// same tells whether two items are one: they have an id in common or, as
// servers change ids, say the same.
func (f *final) same(g *final) bool {
	if f.Kind != g.Kind {
		return false
	}
	if f.id != "" && f.id == g.id || f.Call.ID != "" && f.Call.ID == g.Call.ID {
		return true
	}
	if f.isCall() {
		return f.Call.Name == g.Call.Name && f.Call.Arguments == g.Call.Arguments
	}
	return fmt.Sprint(f.Parts, f.Reasoning) == fmt.Sprint(g.Parts, g.Reasoning)
}

// assemble is the answer: what was heard, each completed by the item that goes
// on with it, and behind that what was not heard at all.
func (s *stream) assemble(items []json.RawMessage, cut bool) ([]model.Output, error) {
	finals, err := s.finals(items)
	if err != nil {
		return nil, err
	}
	var all []model.Output
	var open []*output
	lost := map[string]bool{} // what the last event does not repeat as it was heard
	for _, o := range s.heard {
		whole, found, repeated := s.whole(o, finals)
		if !found {
			open = append(open, o)
		}
		if !repeated {
			lost[sort(o.kind, o.call)] = true
		}
		all = append(all, whole)
	}
	for _, o := range open {
		whole, ok := o.said()
		if !ok && !cut || o.isCall() && slices.ContainsFunc(finals, func(f *final) bool { return !f.taken && f.isCall() }) {
			return nil, errContradiction
		}
		all[o.place] = whole
	}
	for _, f := range finals {
		if !f.taken && !lost[sort(f.Kind, f.Call)] {
			all = append(all, f.Output)
		}
	}
	return all, nil
}

// sort is a kind, or the calls of one tool: a call that the last event writes
// in another way is not made twice.
func sort(k model.Kind, c model.ToolCall) string { return fmt.Sprint(k, " ", c.Space, " ", c.Name) }

// whole is the item that goes on with what was heard. repeated: it is of the
// last event.
func (s *stream) whole(o *output, finals []*final) (whole model.Output, found, repeated bool) {
	for _, f := range finals {
		if !f.taken && o.begins(f.Output) {
			f.taken = true
			return o.completed(f.entry), true, true
		}
	}
	for _, raw := range []json.RawMessage{o.done, o.begun} { // some servers begin an item with all of it
		it, known, err := read(raw)
		if err != nil || !known || !o.begins(it.Output) || o.done == nil && o.isCall() && model.EmptyArguments(it.Call.Arguments) {
			continue
		}
		return o.completed(it), true, false
	}
	return model.Output{}, false, false
}

// completed is an item as it was heard: vLLM and llama.cpp make up another call
// id at the end.
func (o *output) completed(it entry) model.Output {
	if o.isCall() {
		it.Call.ID = o.call.ID
		it.Own = replaceCallID(it.Own, o.call.ID)
	}
	return it.Output
}
