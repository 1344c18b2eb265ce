package chat

import (
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// pendingCalls assigns the pieces of calls to calls. Servers identify a call by
// id, by index, by both or by neither, and some repeat or change them:
//
//   - A known id continues its call. A new id begins a call, unless the call at
//     the same index still lacks a part of its arguments.
//   - Without an id, the index decides. Without both, the last call continues.
//   - A name begins a call if the arguments of the call before are complete.
//   - Repeated ids, names and arguments are ignored.
//
// A call is announced once its name is complete: when its arguments begin, when
// another call begins, or at the end of the answer.
type pendingCalls struct {
	all     []*pendingCall // in order of their first pieces
	byID    map[string]*pendingCall
	byIndex map[int]*pendingCall
	last    *pendingCall
}

// pendingCall is a call that may be incomplete.
type pendingCall struct {
	output
	brackets
	call, function attached // unknown members
	announced      int      // bytes of the arguments that the listener has
	repeatedName   string   // the name, if it was repeated after the arguments
}

var errNameless = fmt.Errorf("%w: a tool call has no name", model.ErrMalformed)

// addCall adds a piece of a call.
func (s *stream) addCall(p callPiece) error {
	c := s.calls.find(&p)
	if c == nil {
		if p.index >= maxCalls || len(s.calls.all) >= maxCalls {
			return fmt.Errorf("%w: too many tool calls", model.ErrMalformed)
		}
		for _, before := range s.calls.all {
			s.announce(before)
		}
		c = s.calls.begin(p)
	}
	s.calls.record(c, p)
	for _, m := range p.call {
		c.call.add(m.name, m.value, &s.left)
	}
	for _, m := range p.function {
		c.function.add(m.name, m.value, &s.left)
	}
	c.addName(p.name)
	c.addArguments(p)
	if c.text.Len() > 0 {
		s.announce(c)
	}
	return nil
}

// find returns the call that a piece belongs to; nil if the piece begins a
// call. It sets the piece's name if that arrived in the piece before.
func (c *pendingCalls) find(p *callPiece) *pendingCall {
	cur, known := c.last, c.byID[p.id]
	if p.index != none {
		cur = c.byIndex[p.index]
	}
	if p.id == "" {
		known = nil
	}
	switch {
	case p.apart:
		return nil
	case p.index != none && cur == nil: // the index counts pieces, or two calls share an id
		if known != nil && known.canContinue(p) {
			return known
		}
		return nil
	case cur == nil && known == nil:
		return nil
	case known != nil && (cur == nil || cur.Call.ID != p.id):
		cur = known
	case p.id != "" && cur.Call.ID != "" && cur.Call.ID != p.id: // a new id for each piece, or for a new call
		if cur.isUnfinished() && cur.canContinue(p) && p.arguments != "" {
			return cur
		}
		return nil
	}
	switch {
	case p.name == "" && cur.repeatedName != "" && p.beginsObject() && p.arguments != cur.text.String():
		p.name = cur.repeatedName
		return nil
	case p.name != "" && cur.Call.Name != "" && cur.endsBefore(p, known != nil || p.index != none):
		return nil
	}
	return cur
}

// contains reports whether the same complete call is known.
func (c *pendingCalls) contains(p callPiece) bool {
	return slices.ContainsFunc(c.all, func(n *pendingCall) bool {
		return n.Call.Name == p.name && n.text.String() == p.arguments && (p.id == "" || p.id == n.Call.ID)
	})
}

// canContinue reports whether a piece with another id or index can belong to
// the call.
func (c *pendingCall) canContinue(p *callPiece) bool {
	if p.name == "" {
		return !c.isWhole() || !p.beginsObject()
	}
	return p.name == c.Call.Name && c.isUnfinished() && p.arguments != "" && !p.beginsObject()
}

// endsBefore reports whether a piece with a name begins another call. sure
// means that the id or index of the piece is that of this call.
func (c *pendingCall) endsBefore(p *callPiece, sure bool) bool {
	same := p.name == c.Call.Name
	related := strings.HasPrefix(p.name, c.Call.Name) || strings.HasPrefix(c.Call.Name, p.name)
	switch {
	case c.isWhole():
		repeats := p.arguments == "" || p.arguments == c.text.String() || c.isPlaceholder()
		return !sure || !same || !repeats
	case c.isUnfinished():
		return !related
	}
	return !related && (!sure || p.typed && p.id == "")
}

// note records the id and index of a piece for its call.
func (c *pendingCalls) record(n *pendingCall, p callPiece) {
	c.last = n
	if p.index != none && c.byIndex[p.index] == nil {
		c.byIndex[p.index] = n
	}
	if p.id != "" && (n.Call.ID == "" || c.byID[p.id] == nil) {
		if n.Call.ID == "" {
			n.Call.ID = p.id
		}
		c.byID[p.id] = n
	}
}

// beginsObject reports whether the arguments of a piece begin an object.
func (p *callPiece) beginsObject() bool {
	return strings.HasPrefix(strings.TrimLeft(p.arguments, blanks), "{")
}

func (c *pendingCalls) begin(p callPiece) *pendingCall {
	if c.byID == nil {
		c.byID, c.byIndex = map[string]*pendingCall{}, map[int]*pendingCall{}
	}
	n := &pendingCall{output: output{place: -1}}
	n.Kind = model.Function
	c.all = append(c.all, n)
	if p.index != none {
		c.byIndex[p.index] = n
	}
	if n.Call.ID = p.id; p.id != "" {
		c.byID[p.id] = n
	}
	return n
}

// addName adds a name, a piece of a name, or a repeated name.
func (c *pendingCall) addName(name string) {
	if name != "" && name == c.Call.Name && c.isWhole() {
		c.repeatedName = name
	}
	switch {
	case name == "" || c.place >= 0 || name == c.Call.Name:
	case strings.HasPrefix(name, c.Call.Name):
		c.Call.Name = name
	case c.text.Len() > 0: // the arguments arrived first
		c.Call.Name = name
	default:
		c.Call.Name += name
	}
}

const blanks = " \t\r\n"

// addArguments adds a piece of the arguments, without leading space.
func (c *pendingCall) addArguments(p callPiece) {
	text := p.arguments
	if c.text.Len() == 0 {
		text = strings.TrimLeft(text, blanks)
	}
	sofar := c.text.String()
	switch {
	case text == "":
		return
	case c.isWhole() && (text == sofar || strings.Trim(text, blanks) == ""): // repeated
		return
	case c.isPlaceholder():
		c.text.Reset()
		c.brackets = brackets{}
	case p.name != "" && c.isUnfinished() && p.beginsObject(): // each piece repeats all before it
		if rest, again := strings.CutPrefix(text, sofar); again {
			text = rest
		}
	}
	c.text.WriteString(text)
	c.count(text)
}

// announce sends a call whose name is known to the listener, with the arguments
// so far. Arguments that may turn out to be empty wait for the end.
func (s *stream) announce(c *pendingCall) {
	if c.Call.Name == "" {
		return
	}
	text := c.text.String()
	if slices.ContainsFunc(placeholders, func(p string) bool { return strings.HasPrefix(p, text) }) {
		text = ""
	}
	opened := c.place >= 0
	if !opened {
		s.open(&c.output, model.Function)
	}
	if rest := text[min(c.announced, len(text)):]; rest != "" || !opened {
		c.announced += len(rest)
		s.listen(model.Delta{Output: c.place, Kind: model.Function, Call: model.ToolCall{
			ID: c.Call.ID, Name: c.Call.Name, Arguments: rest,
		}})
	}
}

// finishCalls announces the remaining calls. A call without a name is ignored
// if it is empty, is appended to the call before if that completes it, and is
// an error otherwise.
func (s *stream) finishCalls() error {
	var before *pendingCall
	for _, c := range s.calls.all {
		text := c.text.String()
		switch {
		case c.Call.Name != "":
			before = c
			continue
		case text == "" && c.Call.ID == "":
			continue
		case text == "" || before == nil || before.isWhole():
			return errNameless
		}
		before.text.WriteString(text)
		before.count(text)
		if !before.isWhole() {
			return errNameless
		}
	}
	for _, c := range s.calls.all {
		s.announce(c)
		c.Own = own{ID: s.keepID(c.Call.ID), Call: c.call.json(), Function: c.function.json()}.encode()
	}
	return nil
}
