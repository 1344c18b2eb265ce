// Package compact makes a long history short, and shows a model what a short one stands for. It calls nobody.
package compact

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/chain"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// Open is the call with what compaction items hold in their places, so that no dialect has to know them. The call that it is given is
// not written to. compaction.ErrSealed, compaction.ErrNoKey.
func Open(keys compaction.Keys, tenant string, c model.Call) (model.Call, error) {
	o := opener{keys: keys, tenant: tenant}
	request := *c.Request
	request.Input = o.items(c.Request.Input)
	c.Request = &request
	c.Ancestors = slices.Clone(c.Ancestors)
	for i, a := range c.Ancestors {
		c.Ancestors[i] = chain.Ancestor{Input: o.items(a.Input), Turns: o.turns(a.Turns)}
	}
	c.Turns = o.turns(c.Turns)
	return c, o.err
}

// opener keeps the first error.
type opener struct {
	keys   compaction.Keys
	tenant string
	err    error
}

func (o *opener) turns(turns []chain.Turn) []chain.Turn {
	turns = slices.Clone(turns)
	for i := range turns {
		turns[i].Items = o.items(turns[i].Items)
	}
	return turns
}

func (o *opener) items(items []item.Item) []item.Item {
	if !slices.ContainsFunc(items, isCompaction) {
		return items
	}
	var out []item.Item
	for _, it := range items {
		if isCompaction(it) {
			out = append(out, o.open(it)...)
		} else {
			out = append(out, it)
		}
	}
	return out
}

func (o *opener) open(it item.Item) []item.Item {
	content, err := o.keys.Open(o.tenant, it.Encrypted())
	if o.err == nil {
		o.err = err
	}
	return content.Items()
}

func isCompaction(it item.Item) bool { return it.Type == "compaction" }
