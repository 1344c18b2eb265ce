package behaviour

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// chains hold that a response continues another with its whole history, and
// nothing else.
func (c *capture) chains(t *testing.T, s *stack.Stack) {
	t.Run("three responses", func(t *testing.T) {
		t.Parallel()
		c.threeResponses(t, s)
	})
	for _, names := range [][]string{{"lookup"}, {"lookup", "mock_echo"}, {"mock_echo", "lookup"}} {
		t.Run("calls of "+names[0]+" and "+names[len(names)-1]+" are answered", func(t *testing.T) {
			t.Parallel()
			c.answeredLater(t, s, names)
		})
	}
	t.Run("what is deleted or not stored", func(t *testing.T) {
		t.Parallel()
		endsOfChains(t, s)
	})
}

// threeResponses holds that the upstream gets its earlier input, its answer,
// and the new input. The capture keeps all calls of a chain under the first
// plan.
func (c *capture) threeResponses(t *testing.T, s *stack.Stack) {
	plans := []mock.Plan{{Seed: 8500, Rounds: 1, Width: 2, CallIDs: "reuse"}, {Seed: 8501}, {Seed: 8502, Rounds: 1, Width: 1, CallIDs: "reuse"}}
	first := s.Ask(t, plans[0], stack.Fields{"model": "capture", "instructions": "Be first."})
	completed(t, first, plans[0].Answer())
	second := s.Ask(t, plans[1], stack.Fields{"model": "capture", "previous_response_id": first.ID})
	completed(t, second, plans[1].Answer())
	third := s.Ask(t, plans[2], stack.Fields{"model": "capture", "instructions": "Be last.", "previous_response_id": second.ID})
	completed(t, third, plans[2].Answer())
	previous(t, first, nil)
	previous(t, second, first.ID)
	previous(t, third, second.ID)

	seen := func(n int) []any { return c.body(t, plans[0], n)["messages"].([]any) }
	say := func(role, text string) any { return map[string]any{"role": role, "content": text} }
	said := seen(1) // of the first response's last call
	if len(said) != 5 {
		t.Fatalf("the first response's last call has %d messages, want instructions, question, calls and two outputs", len(said))
	}
	want := append(slices.Clone(said[1:]), say("assistant", first.Text()), say("user", plans[1].Prompt()))
	equal(t, "messages of the second response", want, seen(2))
	want = append([]any{say("system", "Be last.")}, append(want, say("assistant", second.Text()), say("user", plans[2].Prompt()))...)
	equal(t, "messages of the third response", want, seen(3))
	if last := seen(4); len(last) != len(want)+2 {
		t.Errorf("the third response's last call has %d messages, want a call and an output more than %d", len(last), len(want))
	}
	for _, call := range []struct {
		id   string
		step int // of the model, from 0
		seen int
	}{{first.ID, 0, 0}, {first.ID, 1, 1}, {second.ID, 0, 2}, {third.ID, 0, 3}, {third.ID, 1, 4}} {
		equal(t, "the audit trail's input of "+call.id, spelled(seen(call.seen)), audited(t, s, plans[0], call.id, call.step))
	}
	if n := paired(t, seen(4)); n != 3 {
		t.Errorf("the chain has the results of %d calls, want 3", n)
	}
}

// paired checks that each call of a turn has one result, under the id from the
// model; turns may repeat ids. It returns the number of calls.
func paired(tb testing.TB, messages []any) int {
	tb.Helper()
	n := 0
	open := map[any]bool{}
	for _, m := range messages {
		m := m.(map[string]any)
		if m["role"] == "tool" {
			if n++; !open[m["tool_call_id"]] {
				tb.Errorf("a result is of %v, the turn's calls without one are %v", m["tool_call_id"], open)
			}
			delete(open, m["tool_call_id"])
			continue
		}
		if len(open) > 0 {
			tb.Errorf("the calls %v have no result", open)
		}
		open = map[any]bool{}
		calls, _ := m["tool_calls"].([]any)
		for i, c := range calls {
			if id := c.(map[string]any)["id"]; id != fmt.Sprintf("call_%d", i) {
				tb.Errorf("call %d of a turn has the id %v, not the model's own", i, id)
			}
			open[c.(map[string]any)["id"]] = true
		}
	}
	return n
}

// answeredLater holds that the client answers the calls of one response in the
// next, anywhere in its input.
func (c *capture) answeredLater(t *testing.T, s *stack.Stack, names []string) {
	plan := mock.Plan{Seed: int64(8510 + len(names) + len(names[0])), Rounds: 1, Width: 2, Tools: names}
	fields := stack.Fields{"model": "capture", "tools": []stack.Fields{hosted, lookup}}
	first := s.Ask(t, plan, fields)
	ended(t, first, "completed", "")
	input := []stack.Fields{{"role": "user", "content": "Here you are."}}
	for _, f := range first.Calls("function_call") {
		input = append(input, stack.Fields{"type": "function_call_output", "call_id": f.CallID, "output": "sorry"})
	}
	fields["previous_response_id"] = first.ID

	refused(t, s, fields, input[:1], "input", "No tool output found for function call "+first.Calls("function_call")[0].CallID+".")
	other := stack.Fields{"type": "function_call_output", "call_id": "other", "output": ""}
	refused(t, s, fields, append(slices.Clone(input), other), "input", "No tool call found for function call output with call_id other.")

	fields["input"] = input
	second := s.Ask(t, plan, fields)
	completed(t, second, plan.AnswerIf(func(_, index int) bool { return names[index%len(names)] == "lookup" }))
	if got := c.body(t, plan, 1)["messages"].([]any); len(got) != 5 {
		t.Errorf("the upstream got %d messages, want the question, the calls, two outputs and the new message: %v", len(got), got)
	}
}

// endsOfChains holds that a chain is not continued if it has lost a response,
// or has one that was not stored.
func endsOfChains(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8520}
	first := s.Ask(t, plan, nil)
	second := s.Ask(t, plan, stack.Fields{"previous_response_id": first.ID})
	completed(t, second, plan.Answer())
	if status, text := s.Do(t, http.MethodDelete, "/v1/responses/"+first.ID, nil); status != http.StatusOK {
		t.Fatalf("DELETE answered %d %s", status, text)
	}
	for _, id := range []string{first.ID, second.ID} {
		refused(t, s, stack.Fields{"previous_response_id": id}, "x", "previous_response_id",
			"Previous response with id '"+first.ID+"' not found.")
	}
	completed(t, s.Get(t, second.ID), plan.Answer())

	hidden := s.Ask(t, plan, stack.Fields{"store": false, "previous_response_id": s.Ask(t, plan, nil).ID})
	completed(t, hidden, plan.Answer())
	for _, id := range []string{first.ID, hidden.ID} {
		if status, text := s.Do(t, http.MethodGet, "/v1/responses/"+id, nil); status != http.StatusNotFound {
			t.Errorf("GET answered %d %s, want 404", status, text)
		}
	}
	refused(t, s, stack.Fields{"previous_response_id": hidden.ID}, "x", "previous_response_id",
		"Previous response with id '"+hidden.ID+"' not found.")
}

// refused fails the test unless the request is answered with a 400 with this
// text.
func refused(tb testing.TB, s *stack.Stack, fields stack.Fields, input any, param, message string) {
	tb.Helper()
	all := stack.Fields{"model": "mock"}
	for name, value := range fields {
		all[name] = value
	}
	all["input"] = input
	body, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	status, text := s.Do(tb, http.MethodPost, "/v1/responses", body)
	var got struct {
		Error struct{ Param, Message string }
	}
	if err := json.Unmarshal(text, &got); err != nil || status != http.StatusBadRequest || got.Error.Param != param || got.Error.Message != message {
		tb.Errorf("answered %d %s, want 400 at %s: %s", status, text, param, message)
	}
}

// previous checks which response a response continues; nil for none.
func previous(tb testing.TB, r stack.Response, want any) {
	tb.Helper()
	var object map[string]any
	if err := json.Unmarshal(r.JSON, &object); err != nil {
		tb.Fatal(err)
	}
	equal(tb, "previous_response_id of "+r.ID, want, object["previous_response_id"])
}

// audited returns a model call's input from the audit trail, one item a line.
// The plan is written like in the capture.
func audited(t *testing.T, s *stack.Stack, plan mock.Plan, id string, step int) []any {
	t.Helper()
	var trail struct {
		Data []struct {
			Kind  string
			Input json.RawMessage
			Note  *string `json:"input_notice"`
		}
	}
	_, text := s.Do(t, http.MethodGet, "/v1/responses/"+id+"/steps", nil)
	if err := json.Unmarshal(text, &trail); err != nil {
		t.Fatal(err)
	}
	for _, line := range trail.Data {
		if line.Kind != "model" {
			continue
		}
		if step--; step >= 0 {
			continue
		}
		var items []struct {
			Type, Role, Name, Arguments, Output string
			Content                             []struct{ Text string }
		}
		if err := json.Unmarshal(line.Input, &items); err != nil || line.Note != nil {
			t.Fatalf("the input is %s, its notice %v: %v", line.Input, line.Note, err)
		}
		var all []any
		for _, it := range items {
			switch it.Type {
			case "function_call":
				all = append(all, "call "+it.Name+" "+it.Arguments)
			case "function_call_output":
				all = append(all, "tool "+it.Output)
			default:
				all = append(all, it.Role+" "+strings.ReplaceAll(it.Content[0].Text, plan.Prompt(), "PLAN"))
			}
		}
		return all
	}
	t.Fatalf("the trail of %s has too few model calls: %s", id, text)
	return nil
}

// spelled returns the messages of a chat completion in the same format.
func spelled(messages []any) []any {
	var all []any
	for _, m := range messages {
		m := m.(map[string]any)
		if calls, ok := m["tool_calls"].([]any); ok {
			for _, c := range calls {
				f := c.(map[string]any)["function"].(map[string]any)
				all = append(all, "call "+f["name"].(string)+" "+f["arguments"].(string))
			}
			continue
		}
		all = append(all, m["role"].(string)+" "+m["content"].(string))
	}
	return all
}
