package behaviour

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// conversations hold what a response gets from its conversation, and what it
// adds.
func (c *capture) conversations(t *testing.T, s *stack.Stack) {
	for name, story := range map[string]func(*testing.T, *stack.Stack){
		"several responses":                  c.conversationOfSeveral,
		"the client's functions in between":  c.conversationWithFunctions,
		"items that clients add and take":    c.editedConversation,
		"many responses at once":             rivalsOnAConversation,
		"cancelled, failed, cut, not stored": endsOnAConversation,
		"deleted while a response is made":   deletedConversation,
		"references to items":                c.referencedItems,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, s)
		})
	}
}

// call sends a request and reads the JSON of its answer, which must have this
// status.
func call(tb testing.TB, s *stack.Stack, method, path string, body any, status int) map[string]any {
	tb.Helper()
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			tb.Fatal(err)
		}
	}
	got, answer := s.Do(tb, method, path, text)
	var object map[string]any
	if err := json.Unmarshal(answer, &object); err != nil || got != status {
		tb.Fatalf("%s %s answered %d %s, want %d", method, path, got, answer, status)
	}
	return object
}

func newConversation(tb testing.TB, s *stack.Stack, items ...stack.Fields) string {
	tb.Helper()
	return call(tb, s, http.MethodPost, "/v1/conversations", stack.Fields{"items": items}, http.StatusOK)["id"].(string)
}

// items lists a conversation, oldest first, over several pages.
func items(tb testing.TB, s *stack.Stack, conversation string) []any {
	tb.Helper()
	var all []any
	for after := ""; ; {
		page := call(tb, s, http.MethodGet, "/v1/conversations/"+conversation+"/items?order=asc&limit=3"+after, nil, http.StatusOK)
		all = append(all, page["data"].([]any)...)
		if page["has_more"] == false {
			return all
		}
		after = "&after=" + page["last_id"].(string)
	}
}

// leaves returns the items that a response adds to its conversation: its input
// and its output.
func leaves(tb testing.TB, s *stack.Stack, r stack.Response) []any {
	tb.Helper()
	input := call(tb, s, http.MethodGet, "/v1/responses/"+r.ID+"/input_items?order=asc&limit=100", nil, http.StatusOK)["data"].([]any)
	var object struct{ Output []any }
	if err := json.Unmarshal(r.JSON, &object); err != nil {
		tb.Fatal(err)
	}
	return append(input, object.Output...)
}

func say(role, text string) map[string]any { return map[string]any{"role": role, "content": text} }

// conversationOfSeveral holds that each response gets the whole conversation,
// calls of registered tools with their outputs included, and adds its own part,
// in order.
func (c *capture) conversationOfSeveral(t *testing.T, s *stack.Stack) {
	plans := []mock.Plan{{Seed: 8600, Rounds: 2, Width: 2, CallIDs: "reuse"}, {Seed: 8601}, {Seed: 8602, Rounds: 1, Width: 1, CallIDs: "reuse", Reasoning: "hm"}}
	id := newConversation(t, s, stack.Fields{"role": "developer", "content": "Be kind."})
	want := items(t, s, id)
	seen := 0 // model calls so far
	var before []any
	for i, plan := range plans {
		fields := stack.Fields{"model": "capture", "conversation": map[string]any{"id": id}}
		var r stack.Response
		if i == 1 {
			r = stack.Streamed(t, s.Stream(t, plan, fields))
		} else {
			r = s.Ask(t, plan, fields)
		}
		completed(t, r, plan.Answer())
		sound(t, s, r, plan.Seed)
		var object map[string]any
		if err := json.Unmarshal(r.JSON, &object); err != nil {
			t.Fatal(err)
		}
		equal(t, "the response's conversation", any(map[string]any{"id": id}), object["conversation"])
		want = append(want, leaves(t, s, r)...)
		equal(t, "the conversation's items", want, items(t, s, id))

		messages := c.body(t, plans[0], seen)["messages"].([]any)
		switch {
		case i == 0:
			equal(t, "messages of the first response", []any{say("developer", "Be kind."), say("user", "PLAN")}, messages)
		case len(messages) <= len(before) || messages[len(messages)-1].(map[string]any)["content"] != plan.Prompt():
			t.Errorf("response %d begins with %d messages, %d were there before: %v", i, len(messages), len(before), messages)
		default:
			equal(t, "messages that two responses have in common", before, messages[:len(before)])
		}
		before = messages
		seen += plan.Rounds + 1
	}
	if n := paired(t, c.body(t, plans[0], seen-1)["messages"].([]any)); n != 5 {
		t.Errorf("the conversation has the results of %d calls, want 5", n)
	}
}

// conversationWithFunctions holds that a call of the client's function is open
// in the conversation until it is answered there or in an input.
func (c *capture) conversationWithFunctions(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8610, Rounds: 2, Width: 2, Tools: []string{"mock_echo", "lookup"}}
	id := newConversation(t, s)
	fields := stack.Fields{"model": "capture", "tools": []stack.Fields{hosted, lookup}, "conversation": id}
	first := s.Ask(t, plan, fields)
	ended(t, first, "completed", "")
	open := first.Calls("function_call")
	if len(open) != 1 || len(first.Calls("mcp_call")) != 1 {
		t.Fatalf("the first response has the output %+v", first.Output)
	}
	refused(t, s, fields, []stack.Fields{{"role": "user", "content": "x"}}, "input", "No tool output found for function call "+open[0].CallID+".")
	output := func(call string) stack.Fields {
		return stack.Fields{"type": "function_call_output", "call_id": call, "output": "sorry"}
	}
	refused(t, s, fields, []stack.Fields{output(open[0].CallID), output("other")}, "input",
		"No tool call found for function call output with call_id other.")

	fields["input"] = []stack.Fields{output(open[0].CallID)}
	second := s.Ask(t, plan, fields)
	ended(t, second, "completed", "")
	open = second.Calls("function_call")
	if len(open) != 1 {
		t.Fatalf("the second response has the output %+v", second.Output)
	}
	added := call(t, s, http.MethodPost, "/v1/conversations/"+id+"/items", stack.Fields{"items": []stack.Fields{output(open[0].CallID)}}, http.StatusOK)
	fields["input"] = nil
	third := s.Ask(t, plan, fields)
	completed(t, third, plan.AnswerIf(func(_, index int) bool { return index == 1 }))
	want := slices.Concat(leaves(t, s, first), leaves(t, s, second), added["data"].([]any), leaves(t, s, third))
	equal(t, "the conversation's items", want, items(t, s, id))
}

// editedConversation holds that the model gets the items that clients add, and
// not those that they delete.
func (c *capture) editedConversation(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8620}
	id := newConversation(t, s, stack.Fields{"role": "user", "content": "one"})
	added := call(t, s, http.MethodPost, "/v1/conversations/"+id+"/items", stack.Fields{"items": []stack.Fields{
		{"role": "assistant", "content": "two"}, {"role": "user", "content": "three"},
	}}, http.StatusOK)
	call(t, s, http.MethodDelete, "/v1/conversations/"+id+"/items/"+added["first_id"].(string), nil, http.StatusOK)
	completed(t, s.Ask(t, plan, stack.Fields{"model": "capture", "conversation": id, "instructions": "Be brief."}), plan.Answer())
	want := []any{say("system", "Be brief."), say("user", "one"), say("user", "three"), say("user", "PLAN")}
	equal(t, "messages", want, c.body(t, plan, 0)["messages"])
}

// referencedItems holds that a reference counts as its item: for the model, in
// the list of the input, and for the next response.
func (c *capture) referencedItems(t *testing.T, s *stack.Stack) {
	plans := []mock.Plan{
		{Seed: 8690, Rounds: 2, Width: 2, Tools: []string{"mock_echo", "lookup"}, Reasoning: "hm"}, {Seed: 8691}, {Seed: 8692},
	}
	fields := stack.Fields{"model": "capture", "tools": []stack.Fields{hosted, lookup}}
	first := s.Ask(t, plans[0], fields)
	ended(t, first, "completed", "")
	whole := leaves(t, s, first)
	open := first.Calls("function_call")
	if len(open) != 1 || len(whole) != 5 {
		t.Fatalf("the first response has the items %v, want the question, the list of tools, reasoning and two calls", whole)
	}
	var input []stack.Fields
	for _, it := range whole {
		input = append(input, stack.Fields{"type": "item_reference", "id": it.(map[string]any)["id"]})
	}
	output := stack.Fields{"type": "function_call_output", "call_id": open[0].CallID, "output": "sorry"}
	refused(t, s, fields, input, "input", "No tool output found for function call "+open[0].CallID+".")
	fields["input"] = append(slices.Clone(input), output, stack.Fields{"role": "user", "content": plans[1].Prompt()})
	second := s.Ask(t, plans[1], fields)
	completed(t, second, plans[1].Answer())
	listed := leaves(t, s, second)
	equal(t, "the input that references stand for", whole, listed[:len(whole)])

	messages := c.body(t, plans[0], 1)["messages"].([]any)
	var roles []string
	for _, m := range messages {
		roles = append(roles, m.(map[string]any)["role"].(string))
	}
	equal(t, "roles of the second response's messages", []string{"user", "assistant", "tool", "assistant", "tool", "user"}, roles)
	third := s.Ask(t, plans[2], stack.Fields{"model": "capture", "previous_response_id": second.ID})
	completed(t, third, plans[2].Answer())
	equal(t, "what the third response continues", messages, c.body(t, plans[0], 2)["messages"].([]any)[:len(messages)])

	id := newConversation(t, s)
	call(t, s, http.MethodPost, "/v1/conversations/"+id+"/items", stack.Fields{"items": append(input, output)}, http.StatusOK)
	kept := items(t, s, id)
	equal(t, "a conversation's items that references stand for", whole, kept[:len(whole)])
	if status, text := s.Do(t, http.MethodDelete, "/v1/responses/"+first.ID, nil); status != http.StatusOK {
		t.Fatalf("DELETE answered %d %s", status, text)
	}
	last := s.Ask(t, plans[2], stack.Fields{"model": "capture", "conversation": id})
	completed(t, last, plans[2].Answer())
	equal(t, "items of the conversation, the response they are from deleted", append(kept, leaves(t, s, last)...), items(t, s, id))
}
