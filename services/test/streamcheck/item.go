package streamcheck

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
)

// item is the state of one output item.
type item struct {
	id, kind      string
	parts         map[list][]*part
	arguments     strings.Builder
	argumentsDone bool            // the arguments are done
	started       bool            // the hosted tool is or was in progress
	outcome       string          // of the hosted tool: completed or failed
	final         json.RawMessage // nil while it is open
	fromSnapshot  bool            // from a snapshot: its earlier deltas are unknown
}

// open returns the item of an event. It checks that the item is open and,
// unless kind is empty, of that kind.
func (c *checker) open(e *event, kind string) *item {
	if e.ItemID == nil || e.OutputIndex == nil {
		c.report("item", "%s has no item_id or no output_index", e.Type)
		return nil
	}
	index := *e.OutputIndex
	if index < 0 || index >= len(c.items) {
		c.report("item", "%s names output_index %d, where no item was added", e.Type, index)
		return nil
	}
	it := c.items[index]
	switch {
	case it.id != *e.ItemID:
		c.report("item", "%s names %s, at output_index %d is %s", e.Type, *e.ItemID, index, it.id)
	case it.final != nil:
		c.report("item", "%s names %s, which is done", e.Type, it.id)
	case kind != "" && it.kind != kind:
		c.report("item", "%s names %s, which is a %s", e.Type, it.id, it.kind)
	default:
		return it
	}
	return nil
}

func (c *checker) itemAdded(e *event) {
	var it itemJSON
	if err := json.Unmarshal(e.Item, &it); err != nil || it.ID == "" || it.Type == "" {
		c.report("item", "%s has no item with id and type: %s", e.Type, e.Item)
	}
	if e.OutputIndex == nil || *e.OutputIndex != len(c.items) {
		c.report("item", "%s adds at output_index %s, want %d", e.Type, number(e.OutputIndex), len(c.items))
	}
	if slices.ContainsFunc(c.items, func(other *item) bool { return other.id == it.ID }) {
		c.report("item", "%s adds %s a second time", e.Type, it.ID)
	}
	if len(it.Content)+len(it.Summary) > 0 || it.text() != "" {
		c.report("text", "%s adds an item that has something already: %s", e.Type, e.Item)
	}
	if it.Type == listTools {
		c.listAdded(it)
	}
	c.items = append(c.items, &item{id: it.ID, kind: it.Type})
}

func (c *checker) itemDone(e *event) {
	var got itemJSON
	if err := json.Unmarshal(e.Item, &got); err != nil {
		c.report("item", "%s has no item: %v", e.Type, err)
		return
	}
	e.ItemID = &got.ID
	it := c.open(e, got.Type)
	if it == nil {
		return
	}
	it.final = e.Item
	if it.fromSnapshot {
		return
	}
	if it.kind == listTools {
		c.listDone(it, got)
	}
	c.closed(it, content, got.Content)
	c.closed(it, summary, got.Summary)
	if !it.argumentsDone && got.Status == "completed" && got.text() != "" {
		c.report("text", "the arguments of %s were not done before it", it.id)
	}
	if got.text() != it.arguments.String() {
		c.report("text", "the arguments of %s are %q, the deltas %q", it.id, got.text(), it.arguments.String())
	}
	ended := got.Status == "completed" || got.Status == "failed"
	if strings.HasPrefix(it.kind, "mcp_") && ended && got.Status != it.outcome {
		c.report("item", "%s is done as %s, its last event was %q", it.id, got.Status, it.outcome)
	}
}

func argumentsDelta(kind string) handler {
	return func(c *checker, e *event) {
		it := c.open(e, kind)
		switch {
		case it == nil:
		case e.Delta == nil:
			c.report("text", "%s has no delta", e.Type)
		case it.argumentsDone:
			c.report("item", "%s follows the end of the arguments of %s", e.Type, it.id)
		default:
			it.arguments.WriteString(*e.Delta)
		}
	}
}

func argumentsDone(kind string) handler {
	return func(c *checker, e *event) {
		it := c.open(e, kind)
		if it == nil {
			return
		}
		got := e.Arguments
		if kind == "custom_tool_call" {
			got = e.Input
		}
		if it.argumentsDone {
			c.report("item", "the arguments of %s are done twice", it.id)
		}
		it.argumentsDone = true
		if got == nil || *got != it.arguments.String() {
			c.report("text", "%s says %s, the deltas %q", e.Type, quoted(got), it.arguments.String())
		}
	}
}

// progress checks the progress of a hosted tool's call.
func (c *checker) progress(it *item, typ, what string) {
	if it.outcome != "" {
		c.report("item", "%s follows the end of %s", typ, it.id)
	}
	if it.started = it.started || what == "in_progress"; it.kind == listTools && !it.started {
		c.report("list", "%s comes before %s is in progress", typ, it.id)
	}
	if what == "completed" || what == "failed" {
		it.outcome = what
	}
}

// reset starts again from a snapshot's output.
func (c *checker) reset(output []json.RawMessage) {
	before := make(map[string]*item, len(c.items))
	for _, it := range c.items {
		before[it.id] = it
	}
	c.items = nil
	for _, raw := range output {
		var got itemJSON
		if err := json.Unmarshal(raw, &got); err != nil || got.ID == "" {
			c.report("item", "a snapshot has an item without an id: %s", raw)
		}
		it, known := before[got.ID]
		if !known {
			it = &item{id: got.ID, kind: got.Type, fromSnapshot: true}
		}
		switch {
		case it.final != nil:
			if !same(it.final, raw) {
				c.report("final", "a snapshot has %s as %s, it was done as %s", it.id, raw, it.final)
			}
		case got.Status != "in_progress":
			it.final = raw
		}
		c.items = append(c.items, it)
	}
}

// final checks that the last response object has the done items. A failed or
// cancelled response need not have them.
func (c *checker) final(typ string, output []json.RawMessage) {
	if typ != "response.failed" {
		if len(output) != len(c.items) {
			c.report("final", "%s has %d items, the stream added %d", typ, len(output), len(c.items))
		}
		for _, it := range c.items {
			if it.final == nil {
				c.report("final", "%s comes while %s is open", typ, it.id)
			}
		}
	}
	for i, raw := range output {
		var got itemJSON
		_ = json.Unmarshal(raw, &got) // an item without an id is not found
		var it *item
		for n, other := range c.items {
			if other.id == got.ID && (n == i || typ == "response.failed") {
				it = other
			}
		}
		switch {
		case it == nil:
			c.report("final", "%s has an item at %d that the stream did not have there: %s", typ, i, raw)
		case it.final != nil && !same(it.final, raw):
			c.report("final", "%s has %s, it was done as %s", typ, raw, it.final)
		}
	}
}

// same reports whether two JSON texts have the same meaning.
func same(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}
