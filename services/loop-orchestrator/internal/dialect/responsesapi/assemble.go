package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// errContradiction makes the model be called again: what clients have received
// cannot be taken back, and a tool must not act on half a call.
var errContradiction = fmt.Errorf("%w: its last event contradicts what was said before", model.ErrMalformed)

// unopenedItem is an item that was done without being opened.
type unopenedItem struct {
	place int
	item  json.RawMessage
}

// final is an item of the last response object.
type final struct {
	entry
	taken bool
}

// readFinals returns the items of the last response object and, before them,
// unopened items that it lacks.
func (s *stream) readFinals(output []json.RawMessage) ([]*final, error) {
	var all, before []*final
	add := func(to *[]*final, raw json.RawMessage) error {
		it, known, err := readItem(raw)
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
	slices.SortStableFunc(s.unopened, func(a, b unopenedItem) int { return a.place - b.place })
	for _, one := range s.unopened {
		if err := add(&before, one.item); err != nil {
			return nil, err
		}
	}
	before = slices.DeleteFunc(before, func(b *final) bool {
		return slices.ContainsFunc(all, func(f *final) bool { return f.isSameAs(b) })
	})
	return append(before, all...), nil
}

// isOtherCall reports whether the item is a call that continues no output.
func (f *final) isOtherCall() bool { return !f.taken && f.isCall() }

func (f *final) isCall() bool { return f.Kind == model.Function || f.Kind == model.Custom }

// isSameAs reports whether two items are one: they share an id or, because
// servers change ids, their content.
func (f *final) isSameAs(g *final) bool {
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

// assemble returns the outputs: the streamed ones, each completed by the item
// that continues it, and then the items that were not streamed. cut reports
// that the answer is incomplete.
func (s *stream) assemble(items []json.RawMessage, cut bool) ([]model.Output, error) {
	finals, err := s.readFinals(items)
	if err != nil {
		return nil, err
	}
	var all []model.Output
	var open []*output
	changed := map[string]bool{} // groups that the last event spells differently
	for _, o := range s.outputs {
		whole, found, repeated := s.findWhole(o, finals)
		if !found {
			open = append(open, o)
		}
		if !repeated {
			changed[groupOf(o.kind, o.call)] = true
		}
		all = append(all, whole)
	}
	for _, o := range open {
		whole, ok := o.toOutput()
		if !ok && !cut || o.isCall() && slices.ContainsFunc(finals, (*final).isOtherCall) {
			return nil, errContradiction
		}
		all[o.place] = whole
	}
	for _, f := range finals {
		if !f.taken && !changed[groupOf(f.Kind, f.Call)] {
			all = append(all, f.Output)
		}
	}
	return all, nil
}

// groupOf returns what two spellings of one output share: the kind and, for a
// call, the tool. A call that the last event spells differently is not made
// twice.
func groupOf(k model.Kind, c model.ToolCall) string { return fmt.Sprint(k, " ", c.Space, " ", c.Name) }

// findWhole returns the item that continues an output. repeated reports that
// the last event has it.
func (s *stream) findWhole(o *output, finals []*final) (whole model.Output, found, repeated bool) {
	for _, f := range finals {
		if !f.taken && o.isPrefixOf(f.Output) {
			f.taken = true
			return o.completeWith(f.entry), true, true
		}
	}
	for _, raw := range []json.RawMessage{o.done, o.begun} { // some servers open an item with its whole content
		it, known, err := readItem(raw)
		if err != nil || !known || !o.isPrefixOf(it.Output) {
			continue
		}
		if o.done == nil && o.isCall() && model.EmptyArguments(it.Call.Arguments) {
			continue
		}
		return o.completeWith(it), true, false
	}
	return model.Output{}, false, false
}

// completeWith returns the complete item with the call id that was streamed:
// vLLM and llama.cpp make up another one at the end.
func (o *output) completeWith(it entry) model.Output {
	if o.isCall() {
		it.Call.ID = o.call.ID
		it.Own = replaceCallID(it.Own, o.call.ID)
	}
	return it.Output
}
