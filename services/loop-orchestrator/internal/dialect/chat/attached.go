package chat

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// maxAttached bounds the members that are kept of one answer, ids of calls
// included, in bytes. A member that exceeds it is dropped as a whole, because
// upstreams refuse half a signature.
const maxAttached = 1 << 20

// attached collects the members of a message, a call or a function that chat
// completions does not define. Members may arrive in pieces. The zero value is
// ready to use.
type attached struct {
	members map[string]*piecewise
	sizes   map[string]int // in bytes; -1: dropped
}

// add adds a member or a piece of one. left is the rest of maxAttached.
func (a *attached) add(name string, v json.RawMessage, left *int) {
	if !rawjson.IsSet(v) || a.sizes[name] < 0 {
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

// json returns the object of all members, sorted by name; nil if all are empty.
func (a *attached) json() json.RawMessage {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(a.members)) {
		if v := a.members[name].append(nil); !isEmpty(v) {
			b = append(appendName(append(b, ','), name), v...)
		}
	}
	if b == nil {
		return nil
	}
	b[0] = '{'
	return append(b, '}')
}

// isEmpty reports whether a member is empty. Servers send an empty list of
// annotations with each answer, and some refuse it in a history.
func isEmpty(v json.RawMessage) bool {
	switch string(v) {
	case `""`, "[]", "{}":
		return true
	}
	return false
}

func appendName(b []byte, name string) []byte { return append(rawjson.AppendQuote(b, name), ':') }

// piecewise is a value that may arrive in pieces: texts and lists grow, objects
// are merged by member, other values are replaced. Only one of raw, text, list
// and members is set.
type piecewise struct {
	raw     json.RawMessage // arrived once so far
	text    *strings.Builder
	list    []*piecewise
	members map[string]*piecewise
	order   []string // of members
}

// grows names the members whose texts arrive in pieces. Other texts, such as
// ids and formats, are repeated as a whole.
var grows = map[string]bool{
	"text": true, "summary": true, "data": true, "thinking": true, "reasoning": true, "reasoning_content": true,
	"content": true, "transcript": true, "reasoning_text": true, "partial_json": true,
}

// maxMerged is how deep values are merged; deeper values are replaced.
const maxMerged = 16

// add adds a value or a piece of it, and merges at most depth levels.
func (p *piecewise) add(name string, v json.RawMessage, depth int) {
	switch kind := rawjson.Kind(v); {
	case !rawjson.IsSet(v):
	case p.empty():
		p.raw = bytes.Clone(v)
	case kind == '"' && grows[name] && p.kind() == '"':
		if p.text == nil {
			p.text = &strings.Builder{}
			p.text.WriteString(rawjson.Text(p.raw))
			p.raw = nil
		}
		p.text.WriteString(rawjson.Text(v))
	case kind == '[' && p.kind() == '[' && depth > 0:
		p.openList(depth)
		for e := range rawjson.Elements(v) {
			p.element(e, depth)
		}
	case kind == '{' && p.kind() == '{' && depth > 0:
		p.openObject(depth)
		for name, m := range rawjson.Members(v) {
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
	return rawjson.Kind(p.raw)
}

func (p *piecewise) openList(depth int) {
	if p.list == nil {
		p.list = []*piecewise{}
		for e := range rawjson.Elements(p.raw) {
			p.element(e, depth)
		}
		p.raw = nil
	}
}

func (p *piecewise) openObject(depth int) {
	if p.members == nil {
		p.members = map[string]*piecewise{}
		for name, m := range rawjson.Members(p.raw) {
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

// lookBack bounds the elements that a new one is compared with.
const lookBack = 16

// element adds an element to a list, or merges it with an earlier one of the
// same index and type. Without an index only the last element is continued, if
// it is a text.
func (p *piecewise) element(v json.RawMessage, depth int) {
	index, typ := rawjson.Scalar(rawjson.Member(v, "index")), rawjson.Text(rawjson.Member(v, "type"))
	for back, e := range slices.Backward(p.list) {
		if len(p.list)-back > lookBack || e.kind() != '{' || index == "" && (back < len(p.list)-1 || !continues[typ]) {
			break
		}
		e.openObject(depth)
		id, other := e.word("id"), rawjson.Scalar(rawjson.Member(v, "id"))
		if e.word("index") == index && e.word("type") == typ && (id == "" || other == "" || id == other) {
			e.add("", v, depth-1)
			return
		}
	}
	e := &piecewise{}
	e.add("", v, depth-1)
	p.list = append(p.list, e)
}

// continues names the types of elements that arrive in pieces without an index.
var continues = map[string]bool{"reasoning.text": true, "reasoning.summary": true, "thinking": true, "text": true}

func (p *piecewise) word(name string) string {
	m := p.members[name]
	if m == nil {
		return ""
	}
	return rawjson.Scalar(m.append(nil))
}

func (p *piecewise) append(b []byte) []byte {
	switch {
	case p.text != nil:
		return rawjson.AppendQuote(b, p.text.String())
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
