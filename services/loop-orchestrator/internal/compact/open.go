// Package compact makes long histories short: it decides when one is due, asks
// for its summary, and puts the content of compaction items back in their
// place. It does no I/O.
//
// It promises that a compacted history keeps every instruction and the user's
// last messages word for word (TestReplace), and that a history is never
// replaced by part of a summary (TestSummary).
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

// Open returns the call with the content of compaction items in their place,
// and without the history that they replaced, so that no dialect has to know
// them. It does not change c. Its errors are compaction.ErrSealed and
// compaction.ErrNoKey.
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

// opener opens items and keeps the first error.
type opener struct {
	keys   compaction.Keys
	tenant string
	err    error
}

// turns opens the items of turns. cut reports that one of them replaced
// everything before it; only the turns from the last such one on are returned.
func (o *opener) turns(turns []transcript.Turn) (out []transcript.Turn, cut bool) {
	for _, t := range turns {
		if t.Compacted() {
			t.Usage = responses.Usage{} // of the history before the compaction
		}
		items, whole := o.items(t.Items)
		if whole {
			out, cut = nil, true
		}
		t.Own = moveOwn(t, items)
		t.Items = items
		out = append(out, t)
	}
	return out, cut
}

// moveOwn returns what an upstream attached to the items of a turn, by the
// items' places among the opened items.
func moveOwn(t transcript.Turn, items []item.Item) map[int]json.RawMessage {
	if len(t.Own) == 0 || !slices.ContainsFunc(t.Items, isCompaction) {
		return t.Own
	}
	own := make(map[int]json.RawMessage, len(t.Own))
	for from, attached := range t.Own {
		if from < 0 || from >= len(t.Items) || isCompaction(t.Items[from]) {
			continue
		}
		same := func(it item.Item) bool { return bytes.Equal(it.JSON(), t.Items[from].JSON()) }
		if to := slices.IndexFunc(items, same); to >= 0 {
			own[to] = attached
		}
	}
	return own
}

// items opens items. whole reports that one of them replaced everything before
// it.
func (o *opener) items(items []item.Item) (out []item.Item, whole bool) {
	if !slices.ContainsFunc(items, isCompaction) {
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
		case compaction.Trigger: // is not for the model
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

func isCompaction(it item.Item) bool {
	return it.Type == compaction.Item || it.Type == compaction.Trigger
}
