package behaviour

import (
	"encoding/json"
	"slices"
	"testing"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
	"windlass.dev/windlass/services/test/streamcheck"
)

// streamEvent has the members of a message that the tests read.
type streamEvent struct {
	Type     string
	Stream   string `json:"stream_id"`
	Response json.RawMessage
	Error    struct{ Code, Param string }
}

// readStreams reads and checks messages to the ends of n responses, errors
// included.
func (c *client) readStreams(n int) (all []streamEvent) {
	c.tb.Helper()
	var texts [][]byte
	for n > 0 {
		typ, text := c.next()
		texts = append(texts, text)
		var e streamEvent
		if err := json.Unmarshal(text, &e); err != nil {
			c.tb.Fatal(err)
		}
		all = append(all, e)
		switch typ {
		case "error":
			spectest.Conforms(c.tb, spectest.Schema(c.tb, "WebSocketErrorEvent"), text)
			n--
			continue
		case "response.completed", "response.incomplete", "response.failed":
			n--
		}
		if err := spectest.Event(c.tb, text); err != nil {
			c.tb.Errorf("%v\n%s", err, text)
		}
	}
	for _, v := range streamcheck.CheckSocket(texts) {
		c.tb.Errorf("%s", v)
	}
	return all
}

// placeOf returns the index of the n-th event of a type in a stream, from 0; -1
// if it is missing.
func placeOf(all []streamEvent, stream, typ string, n int) int {
	for i, e := range all {
		if e.Stream == stream && e.Type == typ {
			if n--; n < 0 {
				return i
			}
		}
	}
	return -1
}

// answer returns the n-th response of a stream at its end.
func answer(tb testing.TB, all []streamEvent, stream string, n int) (r stack.Response) {
	tb.Helper()
	i := placeOf(all, stream, "response.completed", n)
	if i < 0 {
		tb.Fatalf("stream %q has no %d completed responses", stream, n+1)
	}
	r.JSON = all[i].Response
	if err := json.Unmarshal(r.JSON, &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// Streams run in parallel, and the responses of one stream in sequence. Tools
// run in all of them.
func socketStreams(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	slow := mock.Plan{Seed: 9801, ThinkMS: 1500, Text: "slow"}
	tools := mock.Plan{Seed: 9802, Rounds: 1, Width: 2}
	c.send(slow, stack.Fields{"stream_id": "a"})
	c.send(mock.Plan{Seed: 9803, Text: "next"}, stack.Fields{"stream_id": "a"})
	c.send(tools, stack.Fields{"stream_id": "b", "tools": hostedTools})
	c.send(mock.Plan{Seed: 9804, Text: "none"}, nil)
	all := c.readStreams(4)
	completed(t, answer(t, all, "a", 0), "slow")
	completed(t, answer(t, all, "a", 1), "next")
	completed(t, answer(t, all, "b", 0), tools.Answer())
	completed(t, answer(t, all, "", 0), "none")
	first := placeOf(all, "a", "response.completed", 0)
	for _, stream := range []string{"b", ""} {
		if begun := placeOf(all, stream, "response.created", 0); begun > first {
			t.Errorf("stream %q began at %d, want it before the slow one's end at %d", stream, begun, first)
		}
	}
	if next := placeOf(all, "a", "response.created", 1); next < first {
		t.Errorf("the second response of a stream began at %d, before the end of the first at %d", next, first)
	}
	// A stored response has no stream_id.
	r := answer(t, all, "b", 0)
	if got := string(s.Get(t, r.ID).JSON); got != string(r.JSON) {
		t.Errorf("the response is %s, its stream said %s", got, r.JSON)
	}
}

// A response that only the connection has can be continued in every stream,
// directly after its end, and by several at the same time.
func socketForks(t *testing.T, seen *capture, s *stack.Stack) {
	c := dial(t, s)
	unstored := func(stream string, previous any) stack.Fields {
		return stack.Fields{"model": "capture", "store": false, "stream_id": stream, "previous_response_id": previous}
	}
	root := mock.Plan{Seed: 9811, Text: "root"}
	c.send(root, unstored("main", nil))
	last := answer(t, c.readStreams(1), "main", 0)
	for n := range 8 { // each in another's stream, as early as possible
		stream := []string{"one", "other"}[n%2]
		c.send(mock.Plan{Seed: 9812, Text: "fork"}, unstored(stream, last.ID))
		r := answer(t, c.readStreams(1), stream, 0)
		previous(t, r, last.ID)
		last = r
	}
	base := mock.Plan{Seed: 9813, Text: "base"}
	c.send(base, unstored("main", nil))
	parent := answer(t, c.readStreams(1), "main", 0)
	forks := []string{"critic", "planner", "main"}
	for _, stream := range forks[:2] {
		c.send(mock.Plan{Seed: 9814, Text: stream, ThinkMS: 200}, unstored(stream, parent.ID))
	}
	var begun []streamEvent
	for begun == nil || placeOf(begun, "critic", "response.in_progress", 0) < 0 || placeOf(begun, "planner", "response.in_progress", 0) < 0 {
		_, text := c.next()
		var e streamEvent
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		begun = append(begun, e)
	}
	c.send(mock.Plan{Seed: 9815, Text: "main"}, unstored("main", parent.ID))
	ends := make(map[string]stack.Response)
	for len(ends) < len(forks) {
		typ, text := c.next()
		var e streamEvent
		if err := json.Unmarshal(text, &e); err != nil || typ == "error" {
			t.Fatalf("%v: %s", err, text)
		}
		if typ == "response.completed" {
			ends[e.Stream] = answer(t, []streamEvent{e}, e.Stream, 0)
		}
	}
	for i, stream := range forks {
		completed(t, ends[stream], stream)
		previous(t, ends[stream], parent.ID)
		equal(t, "roles of "+stream, []string{"user", "assistant", "user"}, messagesOf(t, seen, base, 1+i))
	}
	// The main stream has continued: its parent is no longer known.
	c.send(base, unstored("late", parent.ID))
	if all := c.readStreams(1); all[0].Error.Code != "previous_response_not_found" || all[0].Stream != "late" {
		t.Errorf("read %+v, want an error on late", all)
	}
}

// A request that fails in the stream of its parent removes the parent, for all
// streams; one that fails in another stream leaves it.
func socketStreamEviction(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	failing := mock.Plan{Seed: 9821, ModelFaults: []mock.Fault{{Status: 400}}}
	stray := []stack.Fields{{"type": "function_call_output", "call_id": "call_stray", "output": "x"}}
	ask := func(plan mock.Plan, stream, previous string, fields stack.Fields) streamEvent {
		t.Helper()
		all := stack.Fields{"store": false}
		for name, value := range map[string]string{"stream_id": stream, "previous_response_id": previous} {
			if value != "" {
				all[name] = value
			}
		}
		for name, value := range fields {
			all[name] = value
		}
		c.send(plan, all)
		end := c.readStreams(1)
		if slices.ContainsFunc(end, func(e streamEvent) bool { return e.Stream != stream }) {
			t.Errorf("read %+v, want all of it on %q", end, stream)
		}
		return end[len(end)-1]
	}
	good := func(text, stream, previous string) string {
		t.Helper()
		r := answer(t, []streamEvent{ask(mock.Plan{Seed: 9822, Text: text}, stream, previous, nil)}, stream, 0)
		completed(t, r, text)
		return r.ID
	}
	want := func(e streamEvent, typ, code string) {
		t.Helper()
		if e.Type != typ || e.Error.Code != code {
			t.Errorf("read %+v, want %s %s", e, typ, code)
		}
	}
	first := good("one", "a", "")
	want(ask(failing, "b", first, stack.Fields{"input": stray}), "error", "invalid_request_error")
	want(ask(failing, "b", first, nil), "response.failed", "")
	want(ask(mock.Plan{}, "c", first, stack.Fields{"model": "nope"}), "error", "model_not_found")
	second := good("two", "a", first)
	want(ask(failing, "a", second, nil), "response.failed", "")
	want(ask(failing, "a", second, nil), "error", "previous_response_not_found")
	want(ask(failing, "b", second, nil), "error", "previous_response_not_found")
	third := good("three", "", "")
	want(ask(failing, "", third, stack.Fields{"input": stray}), "error", "invalid_request_error")
	want(ask(failing, "a", third, nil), "error", "previous_response_not_found")
}
