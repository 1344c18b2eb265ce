package streamcheck

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Violation is one breach of a rule.
type Violation struct {
	Frame int    // from 0; for a breach at the end, the number of frames
	Rule  string // framing, sequence, order, item, text, list, final or error
	Text  string // what is wrong
}

// String formats the violation in one line.
func (v Violation) String() string { return fmt.Sprintf("frame %d: %s: %s", v.Frame, v.Rule, v.Text) }

// Check returns every violation in the bytes of a whole stream.
func Check(raw []byte) []Violation { return check(raw, true) }

// CheckStart is Check for a reader who left before the end: the last frame may
// be cut, and the terminal event may be missing.
func CheckStart(raw []byte) []Violation { return check(raw, false) }

func check(raw []byte, whole bool) []Violation {
	var c checker
	frames, rest := Frames(raw)
	ended := false
	for _, f := range frames {
		switch {
		case ended:
			c.report("framing", "%s follows [DONE]", f.Raw)
		case string(f.Data) == done:
			ended = true
		default:
			c.frame(f)
		}
		c.at++
	}
	if whole {
		if len(rest) > 0 {
			c.report("framing", "the stream ends inside a frame: %q", rest)
		}
		if !ended {
			c.report("framing", "the stream does not end with [DONE]")
		}
	}
	if whole || ended {
		c.end()
	}
	return c.violations
}

// CheckMessages is Check for the WebSocket messages of one response, which have
// no frames and no [DONE]. A refused request is a single error.
func CheckMessages(messages [][]byte) []Violation {
	c := checker{socket: true}
	for _, m := range messages {
		c.event(m)
		c.at++
	}
	c.end()
	return c.violations
}

// checker is the state of a stream.
type checker struct {
	violations []Violation
	socket     bool
	at         int // number of the current frame

	next     int64  // expected sequence number
	response string // id
	seen     map[string]int
	terminal string // type of the terminal event; error ends a WebSocket's
	failing  bool   // the last event was an error
	plain    bool   // the request has no tool server
	items    []*item
}

func (c *checker) report(rule, format string, args ...any) {
	c.violations = append(c.violations, Violation{c.at, rule, fmt.Sprintf(format, args...)})
}

func (c *checker) frame(f Frame) {
	if f.events != 1 || f.datas != 1 {
		c.report("framing", "a frame has %d event and %d data lines, want one of each", f.events, f.datas)
	}
	if f.others > 0 {
		c.report("framing", "a frame has other fields than event and data: %q", f.Raw)
	}
	if typ := c.event(f.Data); f.Event != typ {
		c.report("framing", "event is %q, its data's type %q", f.Event, typ)
	}
}

// event checks one event and returns its type.
func (c *checker) event(data []byte) string {
	var e event
	if err := json.Unmarshal(data, &e); err != nil {
		c.report("framing", "the data is no event: %v: %s", err, data)
		return e.Type
	}
	if !c.socket || e.Type != "error" {
		c.sequence(&e)
	}
	if e.Error != nil && e.Type != "error" {
		c.report("error", "%s has a top-level error", e.Type)
	}
	c.order(&e)
	if handle, known := handlers[e.Type]; known {
		handle(c, &e)
	} else {
		c.other(&e)
	}
	if c.seen == nil {
		c.seen = make(map[string]int)
	}
	c.seen[e.Type]++
	return e.Type
}

func (c *checker) sequence(e *event) {
	switch {
	case e.Sequence == nil:
		c.report("sequence", "%s has no sequence_number", e.Type)
		return
	case *e.Sequence != c.next:
		c.report("sequence", "%s has sequence_number %d, want %d", e.Type, *e.Sequence, c.next)
	}
	c.next = *e.Sequence + 1
}

// lifecycle are the events with the response object, and its possible statuses
// in them. OpenAI has no event for a cancelled response: it fails.
var lifecycle = map[string][]string{
	"response.created":     {"queued", "in_progress"},
	"response.queued":      {"queued"},
	"response.in_progress": {"in_progress"},
	"response.completed":   {"completed"},
	"response.incomplete":  {"incomplete"},
	"response.failed":      {"failed", "cancelled"},
}

func isTerminal(typ string) bool {
	return typ == "response.completed" || typ == "response.incomplete" || typ == "response.failed"
}

// order checks the events that every event must follow.
func (c *checker) order(e *event) {
	if c.terminal != "" {
		c.report("order", "%s follows %s", e.Type, c.terminal)
	}
	if c.failing && e.Type != "response.failed" {
		c.report("order", "%s follows an error, want response.failed", e.Type)
	}
	c.failing = false
	if e.Type == "error" {
		return // may be the only event
	}
	created := e.Type == "response.created"
	if len(c.seen) == 0 && !created {
		c.report("order", "%s comes first, want response.created", e.Type)
	}
	if len(c.seen) > 0 && created {
		c.report("order", "response.created does not come first")
	}
	if e.Type == "response.output_item.added" && c.seen["response.in_progress"] == 0 {
		c.report("order", "%s comes before response.in_progress", e.Type)
	}
	if e.Type == "response.queued" && c.seen["response.in_progress"]+c.seen["response.queued"] > 0 {
		c.report("order", "response.queued comes late or twice")
	}
}

// end checks what must have been sent before the end.
func (c *checker) end() {
	if c.terminal == "" {
		c.report("order", "the stream ends without a terminal event")
	}
}

// lifecycleEvent checks an event with the response object.
func (c *checker) lifecycleEvent(e *event) {
	var r response
	if err := json.Unmarshal(e.Response, &r); err != nil {
		c.report("order", "%s has no response object: %v", e.Type, err)
		return
	}
	switch {
	case r.ID == "":
		c.report("order", "the response of %s has no id", e.Type)
	case c.response == "":
		c.response = r.ID
	case c.response != r.ID:
		c.report("order", "%s is of %s, the stream of %s", e.Type, r.ID, c.response)
	}
	if !slices.Contains(lifecycle[e.Type], r.Status) {
		c.report("order", "the response of %s is %q", e.Type, r.Status)
	}
	if r.Tools != nil {
		c.plain = !slices.ContainsFunc(r.Tools, func(t tool) bool { return t.Type == "mcp" })
	}
	switch {
	case isTerminal(e.Type):
		c.terminal = e.Type
		c.final(e.Type, r.Output)
	case e.Type == "response.in_progress" && c.seen[e.Type] > 0:
		c.reset(r.Output)
	case len(r.Output) > 0:
		c.report("order", "%s has output already", e.Type)
	}
}

// checkError checks an error event, which has the members of the specification
// and those that OpenAI's SDKs read.
func (c *checker) checkError(e *event) {
	var nested struct {
		Code, Message *string
	}
	if json.Unmarshal(e.Error, &nested) != nil || nested.Message == nil {
		c.report("error", "an error event has no error.message")
	}
	if c.socket {
		if e.Status == nil {
			c.report("error", "an error on a WebSocket has no status")
		}
		c.terminal = e.Type
		return
	}
	if e.Message == nil {
		c.report("error", "an error event has no top-level message")
	}
	c.failing = true
}
