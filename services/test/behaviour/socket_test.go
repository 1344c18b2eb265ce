package behaviour

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// hostedTools offers the registered tools.
var hostedTools = []stack.Fields{hosted}

func TestSocket(t *testing.T) {
	t.Parallel()
	c := newCapture(t)
	s := stack.Start(t, c.option)
	for name, test := range map[string]func(*testing.T, *capture, *stack.Stack){
		"one after the other": socketSequence,
		"a warm-up":           socketWarmUp,
		"not stored":          socketUnstored,
		"functions":           socketFunctions,
		"errors":              socketErrors,
		"eviction":            socketEviction,
		"a hang-up":           socketHangUp,
		"streams":             socketStreams,
		"forks":               socketForks,
		"eviction on streams": socketStreamEviction,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, c, s)
		})
	}
}

// Every reader gets a stored response alike, and it can be continued like any
// other. The second and third request wait for the one before.
func socketSequence(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	plan := mock.Plan{Seed: 9701, Rounds: 2, Width: 2}
	first := c.ask(plan, stack.Fields{"tools": hostedTools, "stream": true})
	completed(t, first, plan.Answer())
	plans := []mock.Plan{{Seed: 9702, Text: "two"}, {Seed: 9703, Text: "three"}}
	for _, p := range plans {
		c.send(p, stack.Fields{"previous_response_id": first.ID})
	}
	for _, p := range plans {
		r := c.response()
		completed(t, r, p.Text)
		previous(t, r, first.ID)
		if diff := cmp.Diff(string(s.Get(t, r.ID).JSON), string(r.JSON)); diff != "" {
			t.Errorf("the response is not what its messages ended with (-read +sent):\n%s", diff)
		}
	}
}

func messagesOf(tb testing.TB, c *capture, plan mock.Plan, n int) (roles []string) {
	tb.Helper()
	for _, m := range c.body(tb, plan, n)["messages"].([]any) {
		roles = append(roles, m.(map[string]any)["role"].(string))
	}
	return roles
}

// A warm-up calls no model, and the response that continues it has its input.
func socketWarmUp(t *testing.T, seen *capture, s *stack.Stack) {
	c := dial(t, s)
	plan := mock.Plan{Seed: 9711, Text: "warm"}
	base := c.ask(plan, stack.Fields{"model": "capture"})
	for _, fields := range []stack.Fields{{}, {"store": false}, {"previous_response_id": base.ID}} {
		fields["model"], fields["generate"], fields["input"] = "capture", false, "Know this."
		warm := c.ask(plan, fields)
		if warm.Status != "completed" || len(warm.Output) != 0 || warm.Usage == nil || warm.Usage.Output != 0 {
			t.Errorf("the warm-up is %s", warm.JSON)
		}
		if n := len(s.Calls("model", plan.Seed)); n != 1 {
			t.Fatalf("the model was called %d times, want not again", n)
		}
		warmer := c.ask(plan, stack.Fields{"model": "capture", "generate": false, "previous_response_id": warm.ID, "input": "And this."})
		next := mock.Plan{Seed: 9712, Text: "go"}
		want := []string{"user", "user", "user"}
		if fields["previous_response_id"] != nil {
			next.Seed, want = plan.Seed, append([]string{"user", "assistant"}, want...) // captured under the first plan
		}
		r := c.ask(next, stack.Fields{"model": "capture", "previous_response_id": warmer.ID})
		completed(t, r, "go")
		previous(t, r, warmer.ID)
		call := 0
		if fields["store"] != nil || next.Seed == plan.Seed {
			call = 1
		}
		equal(t, "roles", want, messagesOf(t, seen, next, call))
	}
}

// A chain of responses that are not stored exists in the connection only.
func socketUnstored(t *testing.T, seen *capture, s *stack.Stack) {
	c := dial(t, s)
	plan := mock.Plan{Seed: 9721, Rounds: 1, Width: 2}
	unstored := func(previous any) stack.Fields {
		return stack.Fields{"model": "capture", "store": false, "previous_response_id": previous, "tools": hostedTools}
	}
	first := c.ask(plan, unstored(nil))
	completed(t, first, plan.Answer())
	second := c.ask(mock.Plan{Seed: 9722, Text: "two"}, unstored(first.ID))
	completed(t, second, "two")
	previous(t, second, first.ID)
	stored := unstored(second.ID)
	stored["store"] = true
	third := c.ask(mock.Plan{Seed: 9723, Text: "three"}, stored)
	completed(t, third, "three")
	round := []string{"user", "assistant", "tool", "assistant", "tool"} // as from a client that sends the whole history again
	equal(t, "roles of the third", slices.Concat(round, []string{"assistant", "user", "assistant", "user"}), messagesOf(t, seen, plan, 3))
	// A stored response is complete for other readers, too.
	fourth := s.Ask(t, mock.Plan{Seed: 9724, Text: "four"}, stack.Fields{"model": "capture", "previous_response_id": third.ID})
	completed(t, fourth, "four")
	equal(t, "roles of the fourth", slices.Concat(round, []string{"assistant", "user", "assistant", "user", "assistant", "user"}),
		messagesOf(t, seen, plan, 4))
	for _, id := range []string{first.ID, second.ID} {
		if status, text := s.Do(t, "GET", "/v1/responses/"+id, nil); status != 404 {
			t.Errorf("%s was answered %d %s, want 404", id, status, text)
		}
	}
	last := c.ask(mock.Plan{Seed: 9725, Text: "x"}, unstored(nil))
	other := dial(t, s)
	other.send(plan, unstored(last.ID))
	other.refused(400, "previous_response_not_found", "previous_response_id")
}

// A function's output answers a call that only the connection has.
func socketFunctions(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	plan := mock.Plan{Seed: 9731, Rounds: 1, Width: 1, Tools: []string{"lookup"}}
	fields := stack.Fields{"store": false, "tools": []stack.Fields{lookup}}
	first := c.ask(plan, fields)
	calls := first.Calls("function_call")
	if len(calls) != 1 {
		t.Fatalf("the first response is %s", first.JSON)
	}
	fields["previous_response_id"] = first.ID
	fields["input"] = []stack.Fields{{"type": "function_call_output", "call_id": calls[0].CallID, "output": "sorry"}}
	completed(t, c.ask(plan, fields), plan.AnswerIf(func(int, int) bool { return true }))
}

func socketErrors(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	for text, want := range map[string]struct{ code, param string }{
		`{`:                            {"invalid_request_error", ""},
		`{"type":"response.cancel"}`:   {"invalid_value", "type"},
		`{"model":"mock","input":"x"}`: {"missing_required_parameter", "type"},
		`{"type":"response.create","model":"mock"}`:                                                         {"missing_required_parameter", "input"},
		`{"type":"response.create","model":"mock","input":"x","background":true}`:                           {"unsupported_parameter", "background"},
		`{"type":"response.create","model":"mock","input":"x","stream":false}`:                              {"unsupported_parameter", "stream"},
		`{"type":"response.steer","previous_response_id":"resp_0","input":"x"}`:                             {"invalid_value", "type"},
		`{"type":"response.create","model":"mock","input":"x","stream_id":"no name"}`:                       {"invalid_stream_id", "stream_id"},
		`{"type":"response.create","model":"mock","input":"x","stream_options":{}}`:                         {"unsupported_parameter", "stream_options"},
		`{"type":"response.create","model":"mock","input":"x","generate":false,"conversation":"conv_0"}`:    {"unsupported_parameter", "conversation"},
		`{"type":"response.create","model":"mock","input":"x","previous_response_id":"resp_0123456789abc"}`: {"previous_response_not_found", "previous_response_id"},
	} {
		c.write([]byte(text))
		c.refused(400, want.code, want.param)
	}
	c.send(mock.Plan{}, stack.Fields{"model": "nope"})
	c.refused(404, "model_not_found", "model")
	completed(t, c.ask(mock.Plan{Seed: 9741, Text: "still here"}, nil), "still here")
}

// A continuation that is refused or fails removes its unstored parent; a stored
// response can still be continued.
func socketEviction(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	failing := mock.Plan{Seed: 9751, ModelFaults: []mock.Fault{{Status: 400}}}
	unstored := stack.Fields{"store": false}
	first := c.ask(mock.Plan{Seed: 9752, Text: "one"}, unstored)
	stray := []stack.Fields{{"type": "function_call_output", "call_id": "call_stray", "output": "x"}}
	c.send(failing, stack.Fields{"previous_response_id": first.ID, "input": stray})
	c.refused(400, "invalid_request_error", "input")
	c.send(failing, stack.Fields{"previous_response_id": first.ID})
	c.refused(400, "previous_response_not_found", "previous_response_id")

	second := c.ask(mock.Plan{Seed: 9753, Text: "two"}, unstored)
	if r := c.ask(failing, stack.Fields{"previous_response_id": second.ID, "store": false}); r.Status != "failed" {
		t.Fatalf("the response is %s, want it failed", r.JSON)
	}
	c.send(failing, stack.Fields{"previous_response_id": second.ID})
	c.refused(400, "previous_response_not_found", "previous_response_id")

	third := c.ask(mock.Plan{Seed: 9754, Text: "three"}, nil)
	c.send(failing, stack.Fields{"previous_response_id": third.ID, "input": stray})
	c.refused(400, "invalid_request_error", "input")
	completed(t, c.ask(mock.Plan{Seed: 9755, Text: "four"}, stack.Fields{"previous_response_id": third.ID}), "four")
}

// A client that hangs up cancels its running responses.
func socketHangUp(t *testing.T, _ *capture, s *stack.Stack) {
	c := dial(t, s)
	plan := mock.Plan{Seed: 9761, ThinkMS: 2500}
	c.send(plan, nil)
	typ, text := c.next()
	var created struct{ Response struct{ ID string } }
	if err := json.Unmarshal(text, &created); err != nil || typ != "response.created" {
		t.Fatalf("the first message is %s", text)
	}
	calls := func() []mock.Entry { return s.Calls("model", plan.Seed) }
	eventually(t, "the model's call", func() bool { return len(calls()) == 1 })
	_ = c.conn.CloseNow()
	if r := s.Wait(t, created.Response.ID); r.Status != "cancelled" {
		t.Errorf("the response is %s, want cancelled", r.Status)
	}
	eventually(t, "the end of the model's call", func() bool { return !calls()[0].Ended.IsZero() })
	if all := calls(); len(all) != 1 || !all[0].Aborted {
		t.Errorf("calls %+v, want one that was broken off", all)
	}
}
