package chat

import (
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// pendingCalls tells the calls of an answer apart. Servers name them by id, by
// index, by both, by neither, and by ones that change or repeat:
//
//   - An id that is known continues its call; a new one begins a call, unless
//     the call at the same index waits for the rest of its arguments.
//   - Without an id the index tells; without both, the call before goes on.
//   - A name begins a call where the one before has whole arguments.
//   - Whatever is said again, an id, a name or whole arguments, is said once.
//
// A call is opened once its name is known for sure: when its arguments begin,
// when another call begins, or at the end.
type pendingCalls struct {
	all     []*pendingCall // in the order in which they began
	byID    map[string]*pendingCall
	byIndex map[int]*pendingCall
	last    *pendingCall
}

// pendingCall is a call on its way.
type pendingCall struct {
	output
	brackets
	call, function attached // members that are not known here
	heard          int      // bytes of the arguments that were told
	again          string   // the name, if it came again behind whole arguments
}

var errNameless = fmt.Errorf("%w: a tool call has no name", model.ErrMalformed)

// addCall takes a piece of a call.
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
	s.calls.note(c, p)
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

// find returns the call that a piece belongs to; nil if it begins one. It gives
// the piece the name that came before it.
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
	case p.index != none && cur == nil: // an index that counts pieces, or an id that is given twice
		if known != nil && known.canContinue(p) {
			return known
		}
		return nil
	case cur == nil && known == nil:
		return nil
	case known != nil && (cur == nil || cur.Call.ID != p.id):
		cur = known
	case p.id != "" && cur.Call.ID != "" && cur.Call.ID != p.id: // an id of each piece, or of a call
		if cur.unfinished() && cur.canContinue(p) && p.arguments != "" {
			return cur
		}
		return nil
	}
	switch {
	case p.name == "" && cur.again != "" && p.beginsObject() && p.arguments != cur.text.String():
		p.name = cur.again
		return nil
	case p.name != "" && cur.Call.Name != "" && cur.endsBefore(p, known != nil || p.index != none):
		return nil
	}
	return cur
}

// contains reports whether a whole call is there already.
func (c *pendingCalls) contains(p callPiece) bool {
	return slices.ContainsFunc(c.all, func(n *pendingCall) bool {
		return n.Call.Name == p.name && n.text.String() == p.arguments && (p.id == "" || p.id == n.Call.ID)
	})
}

// canContinue reports whether a piece that is at another place can be the next
// of the call.
func (c *pendingCall) canContinue(p *callPiece) bool {
	if p.name == "" {
		return !(c.whole() && p.beginsObject())
	}
	return p.name == c.Call.Name && c.unfinished() && p.arguments != "" && !p.beginsObject()
}

// endsBefore reports whether a piece with a name begins a call after this one,
// and does not belong to it. sure: the piece says by id or index that it does.
func (c *pendingCall) endsBefore(p *callPiece, sure bool) bool {
	same := p.name == c.Call.Name
	related := strings.HasPrefix(p.name, c.Call.Name) || strings.HasPrefix(c.Call.Name, p.name)
	switch {
	case c.whole():
		return !(sure && same && (p.arguments == "" || p.arguments == c.text.String() || c.placeholder()))
	case c.unfinished():
		return !related
	}
	return !related && (!sure || p.typed && p.id == "")
}

// note records that a piece is of a call, by all that names it.
func (c *pendingCalls) note(n *pendingCall, p callPiece) {
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

// beginsObject reports whether the arguments of a piece are the beginning of an
// object.
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

// addName takes a name, a piece of one, or one that was said before.
func (c *pendingCall) addName(name string) {
	if name != "" && name == c.Call.Name && c.whole() {
		c.again = name
	}
	switch {
	case name == "" || c.place >= 0 || name == c.Call.Name:
	case strings.HasPrefix(name, c.Call.Name):
		c.Call.Name = name
	case c.text.Len() > 0: // the arguments came first
		c.Call.Name = name
	default:
		c.Call.Name += name
	}
}

const blanks = " \t\r\n"

// addArguments takes a piece of the arguments. Space before them says nothing.
func (c *pendingCall) addArguments(p callPiece) {
	text := p.arguments
	if c.text.Len() == 0 {
		text = strings.TrimLeft(text, blanks)
	}
	sofar := c.text.String()
	switch {
	case text == "":
		return
	case c.whole() && (text == sofar || strings.Trim(text, blanks) == ""): // said again
		return
	case c.placeholder():
		c.text.Reset()
		c.brackets = brackets{}
	case p.name != "" && c.unfinished() && p.beginsObject(): // each piece has all before it
		if rest, again := strings.CutPrefix(text, sofar); again {
			text = rest
		}
	}
	c.text.WriteString(text)
	c.count(text)
}

// announce opens a call whose name is known, and tells what there is of its
// arguments. Arguments that may turn out to be none are told at the end.
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
	if rest := text[min(c.heard, len(text)):]; rest != "" || !opened {
		c.heard += len(rest)
		s.listen(model.Delta{Output: c.place, Kind: model.Function, Call: model.ToolCall{
			ID: c.Call.ID, Name: c.Call.Name, Arguments: rest,
		}})
	}
}

// finishCalls opens the calls that are still to be opened. Calls without a name
// are nothing, or the rest of the call before, or a fault of the upstream.
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
		case text == "" || before == nil || before.whole():
			return errNameless
		}
		before.text.WriteString(text)
		before.count(text)
		if !before.whole() {
			return errNameless
		}
	}
	for _, c := range s.calls.all {
		s.announce(c)
		c.Own = own{ID: s.keepID(c.Call.ID), Call: c.call.json(), Function: c.function.json()}.encode()
	}
	return nil
}
