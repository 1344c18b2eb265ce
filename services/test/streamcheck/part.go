package streamcheck

import (
	"encoding/json"
	"strconv"
	"strings"
)

// list names one of an item's lists of parts.
type list string

const (
	content list = "content"
	summary list = "summary"
)

// part is the state of one part of an item.
type part struct {
	kind     string
	text     strings.Builder
	textDone bool            // its text is done
	final    json.RawMessage // nil while it is open
}

func (e *event) index(in list) *int {
	if in == summary {
		return e.SummaryIndex
	}
	return e.ContentIndex
}

// openPart returns the part of an event. It checks that the part is open and,
// unless kind is empty, of that kind.
func (c *checker) openPart(e *event, in list, kind string) *part {
	it := c.open(e, "")
	if it == nil {
		return nil
	}
	index := e.index(in)
	if index == nil || *index < 0 || *index >= len(it.parts[in]) {
		c.report("item", "%s names %s part %s of %s, which was not added", e.Type, in, number(index), it.id)
		return nil
	}
	p := it.parts[in][*index]
	switch {
	case p.final != nil:
		c.report("item", "%s names %s part %d of %s, which is done", e.Type, in, *index, it.id)
	case kind != "" && p.kind != kind:
		c.report("item", "%s names %s part %d of %s, which is of type %s", e.Type, in, *index, it.id, p.kind)
	default:
		return p
	}
	return nil
}

func partAdded(in list) handler {
	return func(c *checker, e *event) {
		it := c.open(e, "")
		if it == nil {
			return
		}
		var got partJSON
		if err := json.Unmarshal(e.Part, &got); err != nil {
			c.report("item", "%s has no part: %v", e.Type, err)
		}
		if index := e.index(in); index == nil || *index != len(it.parts[in]) {
			c.report("item", "%s adds %s part %s of %s, want %d", e.Type, in, number(index), it.id, len(it.parts[in]))
		}
		if got.content() != "" {
			c.report("text", "%s adds a part that has text already: %s", e.Type, e.Part)
		}
		if it.parts == nil {
			it.parts = make(map[list][]*part)
		}
		it.parts[in] = append(it.parts[in], &part{kind: got.Type})
	}
}

func partDone(in list) handler {
	return func(c *checker, e *event) {
		var got partJSON
		if err := json.Unmarshal(e.Part, &got); err != nil {
			c.report("item", "%s has no part: %v", e.Type, err)
			return
		}
		p := c.openPart(e, in, got.Type)
		if p == nil {
			return
		}
		p.final = e.Part
		if !p.textDone {
			c.report("text", "%s comes before the part's text is done", e.Type)
		}
		if got.content() != p.text.String() {
			c.report("text", "%s says %q, the deltas %q", e.Type, got.content(), p.text.String())
		}
	}
}

// textDelta is also for annotations: they have no delta, and come before the
// text is done.
func textDelta(in list, kind string) handler {
	return func(c *checker, e *event) {
		p := c.openPart(e, in, kind)
		switch {
		case p == nil:
		case p.textDone:
			c.report("item", "%s follows the end of the text", e.Type)
		case e.Delta != nil:
			p.text.WriteString(*e.Delta)
		case strings.HasSuffix(e.Type, ".delta"):
			c.report("text", "%s has no delta", e.Type)
		}
	}
}

func textDone(in list, kind string) handler {
	return func(c *checker, e *event) {
		p := c.openPart(e, in, kind)
		if p == nil {
			return
		}
		got := e.Text
		if kind == "refusal" {
			got = e.Refusal
		}
		if p.textDone {
			c.report("item", "%s comes twice", e.Type)
		}
		p.textDone = true
		if got == nil || *got != p.text.String() {
			c.report("text", "%s says %s, the deltas %q", e.Type, quoted(got), p.text.String())
		}
	}
}

// closed checks that a done item has the done parts.
func (c *checker) closed(it *item, in list, got []json.RawMessage) {
	parts := it.parts[in]
	if len(got) != len(parts) {
		c.report("text", "%s is done with %d %s parts, the stream added %d", it.id, len(got), in, len(parts))
		return
	}
	for i, p := range parts {
		switch {
		case p.final == nil:
			c.report("item", "%s is done while its %s part %d is open", it.id, in, i)
		case !same(p.final, got[i]):
			c.report("text", "%s has the %s part %s, it was done as %s", it.id, in, got[i], p.final)
		}
	}
}

func number(n *int) string {
	if n == nil {
		return "none"
	}
	return strconv.Itoa(*n)
}

func quoted(s *string) string {
	if s == nil {
		return "nothing"
	}
	return strconv.Quote(*s)
}
