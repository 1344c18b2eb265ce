package behaviour

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// compacts requests a compaction of a history and returns its items.
func compacts(tb testing.TB, s *stack.Stack, fields stack.Fields) []json.RawMessage {
	tb.Helper()
	status, header, text := ask(tb, s, "/v1/responses/compact", fields)
	if status != http.StatusOK {
		tb.Fatalf("compact answered %d %s", status, text)
	}
	if err := spectest.Compaction(tb, text); err != nil {
		tb.Errorf("%v: %s", err, text)
	}
	if steps := s.CallSteps(tb, header); len(steps) != 1 || steps[0].State != "done" || steps[0].Usage == nil || steps[0].Output != nil {
		tb.Errorf("the steps of a compaction are %+v", steps)
	}
	var object struct{ Output []json.RawMessage }
	if err := json.Unmarshal(text, &object); err != nil {
		tb.Fatal(err)
	}
	return object.Output
}

// compactions hold that a history is compacted once, and that the compaction is
// accepted wherever items are.
func (c *capture) compactions(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8800, Rounds: 1, Width: 2, Text: "The keys are under the mat."}
	first := s.Ask(t, plan, stack.Fields{"model": "capture", "instructions": "Be first."})
	completed(t, first, plan.Text)
	output := compacts(t, s, stack.Fields{"model": "capture", "instructions": "Be brief.", "previous_response_id": first.ID})
	if len(output) != 2 || strings.Contains(string(output[1]), "mat") {
		t.Fatalf("the shorter history is %s, want the user's message and a sealed item", output)
	}
	asked := c.body(t, plan, 2) // after the first response's two calls
	messages := asked["messages"].([]any)
	if len(messages) != 7 || asked["tools"] != nil { // instructions, question, calls, two results, answer, and the request for a summary
		t.Errorf("the model was asked with %d messages and the tools %v", len(messages), asked["tools"])
	}
	equal(t, "the instructions", any(map[string]any{"role": "system", "content": "Be brief."}), messages[0])

	for name, tt := range map[string]struct {
		seed   int64
		fields func() stack.Fields
	}{
		"as input": {8801, func() stack.Fields { return stack.Fields{} }},
		"in a conversation": {8802, func() stack.Fields {
			status, text := s.Do(t, http.MethodPost, "/v1/conversations", encode(t, stack.Fields{"items": output}))
			var talk struct{ ID string }
			if err := json.Unmarshal(text, &talk); err != nil || status != http.StatusOK {
				t.Fatalf("a conversation answered %d %s", status, text)
			}
			return stack.Fields{"conversation": talk.ID}
		}},
		"in a chain": {8803, func() stack.Fields {
			input := append(anys(output), stack.Fields{"role": "user", "content": mock.Plan{Seed: 8804}.Prompt()})
			before := s.Ask(t, mock.Plan{}, stack.Fields{"model": "capture", "input": input, "tools": nil})
			return stack.Fields{"previous_response_id": before.ID}
		}},
	} {
		fields := tt.fields()
		next := mock.Plan{Seed: tt.seed}
		input := []any{stack.Fields{"role": "user", "content": next.Prompt()}}
		if name == "as input" {
			input = append(anys(output), input...)
		}
		fields["model"], fields["input"], fields["tools"] = "capture", input, nil
		completed(t, s.Ask(t, next, fields), next.Answer())
		seen := c.last(t, plan)
		if n := strings.Count(seen, plan.Text); n != 1 || strings.Contains(seen, "encrypted") || strings.Contains(seen, `"tool_calls"`) {
			t.Errorf("%s: the model is shown the summary %d times, want it once and no calls:\n%s", name, n, excerpt([]byte(seen)))
		}
	}

	again := compacts(t, s, stack.Fields{"model": "capture", "input": append(anys(output), stack.Fields{
		"role": "user", "content": mock.Plan{Seed: 8805, Text: "Still there."}.Prompt(),
	})})
	if len(again) != 3 || string(again[0]) != string(output[0]) {
		t.Errorf("compacted again it is %s, want the first message as it was, the new one, and one item", again)
	}
}

// nativeCompactions holds that upstreams of the Responses API get the content
// of a compaction item, because they could not open it.
func nativeCompactions(t *testing.T, s *stack.Stack) {
	first := s.Ask(t, mock.Plan{Seed: 9700, Rounds: 1, Width: 2, Text: strings.Repeat("The keys are under the mat. ", 200)}, nil)
	output := compacts(t, s, stack.Fields{"model": "mock", "previous_response_id": first.ID})
	next := mock.Plan{Seed: 9701}
	input := append(anys(output), stack.Fields{"role": "user", "content": next.Prompt()})
	completed(t, s.Ask(t, next, stack.Fields{"input": input}), next.Answer())
	on := mock.Plan{Seed: 9702, Rounds: 1}
	second := stack.Streamed(t, s.Stream(t, on, stack.Fields{
		"previous_response_id": first.ID, "context_management": []stack.Fields{{"type": "compaction", "compact_threshold": 1000}},
	}))
	completed(t, second, on.Answer())
	if len(second.Output) == 0 || second.Output[0].Type != "compaction" {
		t.Errorf("the history was not compacted: %s", excerpt(second.JSON))
	}
}

// last returns the upstream's last request of the calls whose first plan is
// this one.
func (c *capture) last(tb testing.TB, plan mock.Plan) string {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.bodies[plan.Seed]
	// The plan has the words of the summary, so that the mock answers with
	// them.
	quoted := string(encode(tb, plan.Prompt()))
	return strings.ReplaceAll(string(all[len(all)-1]), quoted, `"PLAN"`)
}

func anys(items []json.RawMessage) []any {
	all := make([]any, len(items))
	for i, it := range items {
		all[i] = it
	}
	return all
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// triggered holds that an input that ends with a trigger produces a compaction
// and nothing else, and can be continued.
func (c *capture) triggered(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8820, Text: "The keys are under the mat."}
	first := s.Ask(t, plan, stack.Fields{"model": "capture"})
	fields := stack.Fields{"model": "capture", "previous_response_id": first.ID, "input": []stack.Fields{{"type": "compaction_trigger"}}}
	second := stack.Streamed(t, s.Stream(t, mock.Plan{}, fields))
	if second.Status != "completed" || len(second.Output) != 1 || second.Output[0].Type != "compaction" || second.Usage.Output == 0 {
		t.Fatalf("it came to %s", second.JSON)
	}
	next := mock.Plan{Seed: 8821}
	completed(t, s.Ask(t, next, stack.Fields{"model": "capture", "previous_response_id": second.ID, "tools": nil}), next.Answer())
	seen := c.last(t, plan) // it is in a message that was kept
	if n := strings.Count(seen, "under the mat"); n != 1 || !strings.Contains(seen, "PLAN") || strings.Contains(seen, `"assistant"`) {
		t.Errorf("the model is shown the summary %d times:\n%s", n, excerpt([]byte(seen)))
	}

	raw := encode(t, stack.Fields{"model": "capture", "store": false, "input": []any{
		stack.Fields{"role": "user", "content": plan.Prompt()}, stack.Fields{"type": "compaction_trigger"},
	}})
	status, text := s.Do(t, http.MethodPost, "/v1/responses", raw)
	var object struct{ Output []json.RawMessage }
	if err := json.Unmarshal(text, &object); err != nil || status != http.StatusOK || len(object.Output) != 1 {
		t.Fatalf("a history as input came to %d %s", status, text)
	}
	last := mock.Plan{Seed: 8822}
	input := []any{
		stack.Fields{"role": "user", "content": "dropped"}, object.Output[0], stack.Fields{"role": "user", "content": last.Prompt()},
	}
	completed(t, s.Ask(t, last, stack.Fields{"model": "capture", "input": input, "tools": nil}), last.Answer())
	if seen := c.last(t, plan); strings.Contains(seen, "dropped") || strings.Count(seen, "under the mat") != 1 {
		t.Errorf("what is before the item is shown beside it:\n%s", excerpt([]byte(seen)))
	}
}

// shortened holds that a response whose history exceeds its threshold is
// compacted and continues.
func (c *capture) shortened(t *testing.T, s *stack.Stack) {
	management := []stack.Fields{{"type": "compaction", "compact_threshold": 1000}}
	long := mock.Plan{Seed: 8810, Text: strings.Repeat("The keys are under the mat. ", 200)}
	first := s.Ask(t, long, stack.Fields{"model": "capture", "input": []stack.Fields{
		{"role": "developer", "content": "Be brief."}, {"role": "user", "content": long.Prompt()},
	}, "context_management": management})
	if len(first.Calls("compaction")) > 0 {
		t.Fatalf("a question alone is compacted: %s", excerpt(first.JSON))
	}
	next := mock.Plan{Seed: 8811, Rounds: 1, Width: 1}
	fields := stack.Fields{"model": "capture", "previous_response_id": first.ID, "context_management": management, "max_output_tokens": 4000}
	raw := s.Stream(t, next, fields)
	second := stack.Streamed(t, raw)
	completed(t, second, next.Answer())
	if again := s.Resume(t, second.ID, -1); !bytes.Equal(raw, again) {
		t.Errorf("the stream is read again as\n%s\nit was\n%s", excerpt(again), excerpt(raw))
	}
	var kinds []string
	for _, it := range second.Output {
		kinds = append(kinds, it.Type)
	}
	equal(t, "the output", []string{"compaction", "mcp_call", "message"}, kinds)
	steps := s.Steps(t, second.ID)
	if len(steps) != 4 || steps[0].Turn != 1 || steps[1].Turn != 2 || steps[3].Turn != 3 {
		t.Errorf("the steps are %+v, want a compaction, two calls and one of a tool", steps)
	}
	// The capture keeps calls by the first plan in them; after the compaction,
	// that is the second plan.
	c.mu.Lock()
	bodies := c.bodies[next.Seed]
	c.mu.Unlock()
	if len(bodies) != 2 {
		t.Fatalf("the model was called %d times behind the compaction, want twice", len(bodies))
	}
	quoted := string(encode(t, next.Prompt()))
	for i, results := range []int{0, 1} {
		seen := strings.NewReplacer(quoted, `"PLAN"`, `\u003c`, "<", `\u003e`, ">").Replace(string(bodies[i]))
		for text, times := range map[string]int{
			`{"role":"developer","content":"Be brief."}`: 1, `{"role":"user","content":"PLAN"}`: 1, "\nSummary of 4 messages.\n": 0,
			`<conversation_summary>\nSummary of 4 messages.\n</conversation_summary>`: 1, `"role":"tool"`: results, "under the mat": 0,
		} {
			if n := strings.Count(seen, text); n != times {
				t.Errorf("call %d shows the model %q %d times, want %d:\n%s", i, text, n, times, excerpt([]byte(seen)))
			}
		}
	}
}
