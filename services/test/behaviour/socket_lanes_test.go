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

// laneEvent is what tests look at in a message of a lane.
type laneEvent struct {
	Type     string
	Lane     string `json:"stream_id"`
	Response json.RawMessage
	Error    struct{ Code, Param string }
}

// lanes reads messages to the ends of n responses, errors included, and checks them.
func (c *client) lanes(n int) (all []laneEvent) {
	c.tb.Helper()
	var texts [][]byte
	for n > 0 {
		typ, text := c.next()
		texts = append(texts, text)
		var e laneEvent
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

// placeOf is where the event of a lane is, the n-th of its type from 0; -1: it is not.
func placeOf(all []laneEvent, lane, typ string, n int) int {
	for i, e := range all {
		if e.Lane == lane && e.Type == typ {
			if n--; n < 0 {
				return i
			}
		}
	}
	return -1
}

// answer is the n-th response of a lane at its end.
func answer(tb testing.TB, all []laneEvent, lane string, n int) (r stack.Response) {
	tb.Helper()
	i := placeOf(all, lane, "response.completed", n)
	if i < 0 {
		tb.Fatalf("lane %q has no %d completed responses", lane, n+1)
	}
	r.JSON = all[i].Response
	if err := json.Unmarshal(r.JSON, &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// Lanes go side by side, and what is on one lane one after the other. Tools run on all of them.
func socketLanes(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	slow := mock.Plan{Seed: 9801, ThinkMS: 1500, Text: "slow"}
	tools := mock.Plan{Seed: 9802, Rounds: 1, Width: 2}
	c.send(slow, stack.Fields{"stream_id": "a"})
	c.send(mock.Plan{Seed: 9803, Text: "next"}, stack.Fields{"stream_id": "a"})
	c.send(tools, stack.Fields{"stream_id": "b", "tools": hostedTools})
	c.send(mock.Plan{Seed: 9804, Text: "none"}, nil)
	all := c.lanes(4)
	completed(t, answer(t, all, "a", 0), "slow")
	completed(t, answer(t, all, "a", 1), "next")
	completed(t, answer(t, all, "b", 0), tools.Answer())
	completed(t, answer(t, all, "", 0), "none")
	first := placeOf(all, "a", "response.completed", 0)
	for _, lane := range []string{"b", ""} {
		if begun := placeOf(all, lane, "response.created", 0); begun > first {
			t.Errorf("lane %q began at %d, want it before the slow one's end at %d", lane, begun, first)
		}
	}
	if next := placeOf(all, "a", "response.created", 1); next < first {
		t.Errorf("the second response of a lane began at %d, before the end of the first at %d", next, first)
	}
	// What is stored has no lane.
	r := answer(t, all, "b", 0)
	if got := string(s.Get(t, r.ID).JSON); got != string(r.JSON) {
		t.Errorf("the response is %s, its lane said %s", got, r.JSON)
	}
}

// A response that only the connection knows can be continued on every lane, at once after its end, and by several together.
func socketForks(t *testing.T, seen *capture, s *stack.Stack) {
	c := dial(t, s)
	unstored := func(lane string, previous any) stack.Fields {
		return stack.Fields{"model": "capture", "store": false, "stream_id": lane, "previous_response_id": previous}
	}
	root := mock.Plan{Seed: 9811, Text: "root"}
	c.send(root, unstored("main", nil))
	last := answer(t, c.lanes(1), "main", 0)
	for n := range 8 { // each on the lane of another, as soon as it can be
		lane := []string{"one", "other"}[n%2]
		c.send(mock.Plan{Seed: 9812, Text: "fork"}, unstored(lane, last.ID))
		r := answer(t, c.lanes(1), lane, 0)
		previous(t, r, last.ID)
		last = r
	}
	base := mock.Plan{Seed: 9813, Text: "base"}
	c.send(base, unstored("main", nil))
	parent := answer(t, c.lanes(1), "main", 0)
	forks := []string{"critic", "planner", "main"}
	for _, lane := range forks[:2] {
		c.send(mock.Plan{Seed: 9814, Text: lane, ThinkMS: 200}, unstored(lane, parent.ID))
	}
	var begun []laneEvent
	for begun == nil || placeOf(begun, "critic", "response.in_progress", 0) < 0 || placeOf(begun, "planner", "response.in_progress", 0) < 0 {
		_, text := c.next()
		var e laneEvent
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		begun = append(begun, e)
	}
	c.send(mock.Plan{Seed: 9815, Text: "main"}, unstored("main", parent.ID))
	ends := make(map[string]stack.Response)
	for len(ends) < len(forks) {
		typ, text := c.next()
		var e laneEvent
		if err := json.Unmarshal(text, &e); err != nil || typ == "error" {
			t.Fatalf("%v: %s", err, text)
		}
		if typ == "response.completed" {
			ends[e.Lane] = answer(t, []laneEvent{e}, e.Lane, 0)
		}
	}
	for i, lane := range forks {
		completed(t, ends[lane], lane)
		previous(t, ends[lane], parent.ID)
		equal(t, "roles of "+lane, []string{"user", "assistant", "user"}, messagesOf(t, seen, base, 1+i))
	}
	// The main lane went on: its parent is known no more.
	c.send(base, unstored("late", parent.ID))
	if all := c.lanes(1); all[0].Error.Code != "previous_response_not_found" || all[0].Lane != "late" {
		t.Errorf("read %+v, want an error on late", all)
	}
}

// What fails on its own lane takes what it continues with it, for all lanes; what fails on another leaves it there.
func socketLaneEviction(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	failing := mock.Plan{Seed: 9821, ModelFaults: []mock.Fault{{Status: 400}}}
	stray := []stack.Fields{{"type": "function_call_output", "call_id": "call_stray", "output": "x"}}
	ask := func(plan mock.Plan, lane, previous string, fields stack.Fields) laneEvent {
		t.Helper()
		all := stack.Fields{"store": false}
		for name, value := range map[string]string{"stream_id": lane, "previous_response_id": previous} {
			if value != "" {
				all[name] = value
			}
		}
		for name, value := range fields {
			all[name] = value
		}
		c.send(plan, all)
		end := c.lanes(1)
		if slices.ContainsFunc(end, func(e laneEvent) bool { return e.Lane != lane }) {
			t.Errorf("read %+v, want all of it on %q", end, lane)
		}
		return end[len(end)-1]
	}
	good := func(text, lane, previous string) string {
		t.Helper()
		r := answer(t, []laneEvent{ask(mock.Plan{Seed: 9822, Text: text}, lane, previous, nil)}, lane, 0)
		completed(t, r, text)
		return r.ID
	}
	want := func(e laneEvent, typ, code string) {
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
