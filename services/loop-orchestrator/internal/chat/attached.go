package chat

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/loose"
)

// maxAttached bounds what is kept of the members that an upstream attached to
// one answer, ids of calls included, in bytes. A member that goes beyond it is
// left out whole: half a signature is refused, none is not.
const maxAttached = 1 << 20

// attached collects the members that chat completions does not know, of a
// message, a call or a function. They may come in pieces. The zero value is
// empty.
type attached struct {
	members map[string]*piecewise
	sizes   map[string]int // of members that were kept; -1: left out
}

// add adds a member or a piece of it. left is what remains of maxAttached.
func (a *attached) add(name string, v json.RawMessage, left *int) {
	if !loose.Given(v) || a.sizes[name] < 0 {
		return
	}
	if a.members == nil {
		a.members, a.sizes = map[string]*piecewise{}, map[string]int{}
	}
	if *left -= len(v); *left < 0 {
		*left += len(v) + a.sizes[name]
		delete(a.members, name)
		a.sizes[name] = -1
		return
	}
	a.sizes[name] += len(v)
	if a.members[name] == nil {
		a.members[name] = &piecewise{}
	}
	a.members[name].add(name, v, maxMerged)
}

// json is the object of all members, in an order that does not change; nil if
// there are none but those that say nothing.
func (a *attached) json() json.RawMessage {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(a.members)) {
		if v := a.members[name].append(nil); !vacant(v) {
			b = append(appendName(append(b, ','), name), v...)
		}
	}
	if b == nil {
		return nil
	}
	b[0] = '{'
	return append(b, '}')
}

// vacant reports whether a member says nothing: servers send empty lists of
// annotations with each answer, and some refuse them in a history.
func vacant(v json.RawMessage) bool {
	switch string(v) {
	case `""`, "[]", "{}":
		return true
	}
	return false
}

func appendName(b []byte, name string) []byte { return append(appendText(b, name), ':') }

func appendText(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return append(b, quoted...)
}

// piecewise is a value that may come in pieces: texts and lists grow, objects
// are merged member by member, other values are replaced. Only one of its
// fields is set.
type piecewise struct {
	raw     json.RawMessage // came once, so far
	text    *strings.Builder
	list    []*piecewise
	members map[string]*piecewise
	order   []string // of members
}

// grows names the members whose texts come in pieces; other texts, such as ids
// and formats, are said again whole.
var grows = map[string]bool{
	"text": true, "summary": true, "data": true, "thinking": true, "reasoning": true, "reasoning_content": true,
	"content": true, "transcript": true, "reasoning_text": true, "partial_json": true,
}

// maxMerged bounds how deep values are merged; what lies deeper is replaced.
const maxMerged = 16

// add adds a value or a piece of it, and merges it so many levels deep.
func (p *piecewise) add(name string, v json.RawMessage, depth int) {
	switch kind := loose.Kind(v); {
	case !loose.Given(v):
	case p.empty():
		p.raw = bytes.Clone(v)
	case kind == '"' && grows[name] && p.kind() == '"':
		if p.text == nil {
			p.text = &strings.Builder{}
			p.text.WriteString(loose.Text(p.raw))
			p.raw = nil
		}
		p.text.WriteString(loose.Text(v))
	case kind == '[' && p.kind() == '[' && depth > 0:
		p.openList(depth)
		for e := range loose.Elements(v) {
			p.element(e, depth)
		}
	case kind == '{' && p.kind() == '{' && depth > 0:
		p.openObject(depth)
		for name, m := range loose.Members(v) {
			p.member(name, m, depth)
		}
	default:
		*p = piecewise{raw: bytes.Clone(v)}
	}
}

func (p *piecewise) empty() bool {
	return p.raw == nil && p.text == nil && p.list == nil && p.members == nil
}

func (p *piecewise) kind() byte {
	switch {
	case p.text != nil:
		return '"'
	case p.list != nil:
		return '['
	case p.members != nil:
		return '{'
	}
	return loose.Kind(p.raw)
}

func (p *piecewise) openList(depth int) {
	if p.list == nil {
		p.list = []*piecewise{}
		for e := range loose.Elements(p.raw) {
			p.element(e, depth)
		}
		p.raw = nil
	}
}

func (p *piecewise) openObject(depth int) {
	if p.members == nil {
		p.members = map[string]*piecewise{}
		for name, m := range loose.Members(p.raw) {
			p.member(name, m, depth)
		}
		p.raw = nil
	}
}

func (p *piecewise) member(name string, v json.RawMessage, depth int) {
	if p.members[name] == nil {
		p.members[name] = &piecewise{}
		p.order = append(p.order, name)
	}
	p.members[name].add(name, v, depth-1)
}

// lookBack bounds how many elements a piece is compared with.
const lookBack = 16

// element adds an element of a list, or a piece of one that is there already:
// it has the same index and type or, where there are no indices, continues the
// last text.
func (p *piecewise) element(v json.RawMessage, depth int) {
	index, typ := loose.Word(loose.Member(v, "index")), loose.Text(loose.Member(v, "type"))
	for back, e := range slices.Backward(p.list) {
		if len(p.list)-back > lookBack || e.kind() != '{' || index == "" && (back < len(p.list)-1 || !continues[typ]) {
			break
		}
		e.openObject(depth)
		id, other := e.word("id"), loose.Word(loose.Member(v, "id"))
		if e.word("index") == index && e.word("type") == typ && (id == "" || other == "" || id == other) {
			e.add("", v, depth-1)
			return
		}
	}
	e := &piecewise{}
	e.add("", v, depth-1)
	p.list = append(p.list, e)
}

// continues names the types of elements that come in pieces without an index.
var continues = map[string]bool{"reasoning.text": true, "reasoning.summary": true, "thinking": true, "text": true}

func (p *piecewise) word(name string) string {
	m := p.members[name]
	if m == nil {
		return ""
	}
	return loose.Word(m.append(nil))
}

func (p *piecewise) append(b []byte) []byte {
	switch {
	case p.text != nil:
		return appendText(b, p.text.String())
	case p.list != nil:
		b = append(b, '[')
		for i, e := range p.list {
			if i > 0 {
				b = append(b, ',')
			}
			b = e.append(b)
		}
		return append(b, ']')
	case p.members != nil:
		b = append(b, '{')
		for i, name := range p.order {
			if i > 0 {
				b = append(b, ',')
			}
			b = p.members[name].append(appendName(b, name))
		}
		return append(b, '}')
	case p.raw == nil:
		return append(b, "null"...)
	}
	return append(b, p.raw...)
}
