// Package compact makes a long history short, and shows a model what a short one stands for. It calls nobody.
package compact

import (
	"bytes"
	"encoding/json"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Open is the call with what compaction items hold in their places, and without what they have taken the place of, so that no dialect
// has to know them. The call that it is given is not written to. compaction.ErrSealed, compaction.ErrNoKey.
func Open(keys compaction.Keys, tenant string, c model.Call) (model.Call, error) {
	o := opener{keys: keys, tenant: tenant}
	var earlier []transcript.Ancestor
	for _, a := range c.Ancestors {
		input, whole := o.items(a.Input)
		turns, cut := o.turns(a.Turns)
		if whole || cut {
			earlier = nil
		}
		if cut {
			input = nil
		}
		earlier = append(earlier, transcript.Ancestor{Input: input, Turns: turns})
	}
	input, whole := o.items(c.Request.Input)
	turns, cut := o.turns(c.Turns)
	if whole || cut {
		earlier = nil
	}
	if cut {
		input = nil
	}
	request := *c.Request
	request.Input = input
	c.Request, c.Ancestors, c.Turns = &request, earlier, turns
	return c, o.err
}

// opener keeps the first error.
type opener struct {
	keys   compaction.Keys
	tenant string
	err    error
}

// turns are those from the last one on that has taken the place of all before.
func (o *opener) turns(turns []transcript.Turn) (out []transcript.Turn, cut bool) {
	for _, t := range turns {
		if t.Compacted() {
			t.Usage = responses.Usage{} // of a history that is not shown any more
		}
		items, whole := o.items(t.Items)
		if whole {
			out, cut = nil, true
		}
		t.Own = moved(t, items)
		t.Items = items
		out = append(out, t)
	}
	return out, cut
}

// moved is what an upstream attached to the items of a turn, by their places
// among items, which has some of them and others.
func moved(t transcript.Turn, items []item.Item) map[int]json.RawMessage {
	if len(t.Own) == 0 || !slices.ContainsFunc(t.Items, special) {
		return t.Own
	}
	own := make(map[int]json.RawMessage, len(t.Own))
	for from, attached := range t.Own {
		if from < 0 || from >= len(t.Items) || special(t.Items[from]) {
			continue
		}
		same := func(it item.Item) bool { return bytes.Equal(it.JSON(), t.Items[from].JSON()) }
		if to := slices.IndexFunc(items, same); to >= 0 {
			own[to] = attached
		}
	}
	return own
}

// items are opened. whole: what was before them is no more.
func (o *opener) items(items []item.Item) (out []item.Item, whole bool) {
	if !slices.ContainsFunc(items, special) {
		return items, false
	}
	for _, it := range items {
		switch it.Type {
		case compaction.Item:
			content := o.open(it)
			if content.Whole {
				out, whole = nil, true
			}
			out = append(out, content.Items()...)
		case compaction.Trigger: // is for us
		default:
			out = append(out, it)
		}
	}
	return out, whole
}

func (o *opener) open(it item.Item) compaction.Content {
	content, err := o.keys.Open(o.tenant, it.Encrypted())
	if o.err == nil {
		o.err = err
	}
	return content
}

func special(it item.Item) bool { return it.Type == compaction.Item || it.Type == compaction.Trigger }
