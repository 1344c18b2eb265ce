package behaviour

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/mock"
	"windlass.dev/windlass/services/internal/stacktest"
)

// compacts asks for a shorter history and returns its items.
func compacts(tb testing.TB, s *stacktest.Stack, fields stacktest.Fields) []json.RawMessage {
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

// compactions: a history is made short once, and goes on wherever items are taken.
func (c *capture) compactions(t *testing.T, s *stacktest.Stack) {
	plan := mock.Plan{Seed: 8800, Rounds: 1, Width: 2, Text: "The keys are under the mat."}
	first := s.Ask(t, plan, stacktest.Fields{"model": "capture", "instructions": "Be first."})
	completed(t, first, plan.Text)
	output := compacts(t, s, stacktest.Fields{"model": "capture", "instructions": "Be brief.", "previous_response_id": first.ID})
	if len(output) != 2 || strings.Contains(string(output[1]), "mat") {
		t.Fatalf("the shorter history is %s, want the user's message and a sealed item", output)
	}
	asked := c.body(t, plan, 2) // behind the first response's two calls
	messages := asked["messages"].([]any)
	if len(messages) != 7 || asked["tools"] != nil { // instructions, question, calls, two results, answer, and what is wanted
		t.Errorf("the model was asked with %d messages and the tools %v", len(messages), asked["tools"])
	}
	equal(t, "the instructions", any(map[string]any{"role": "system", "content": "Be brief."}), messages[0])

	for name, tt := range map[string]struct {
		seed   int64
		fields func() stacktest.Fields
	}{
		"as input": {8801, func() stacktest.Fields { return stacktest.Fields{} }},
		"in a conversation": {8802, func() stacktest.Fields {
			status, text := s.Do(t, http.MethodPost, "/v1/conversations", encode(t, stacktest.Fields{"items": output}))
			var talk struct{ ID string }
			if err := json.Unmarshal(text, &talk); err != nil || status != http.StatusOK {
				t.Fatalf("a conversation answered %d %s", status, text)
			}
			return stacktest.Fields{"conversation": talk.ID}
		}},
		"in a chain": {8803, func() stacktest.Fields {
			input := append(anys(output), stacktest.Fields{"role": "user", "content": mock.Plan{Seed: 8804}.Prompt()})
			before := s.Ask(t, mock.Plan{}, stacktest.Fields{"model": "capture", "input": input, "tools": nil})
			return stacktest.Fields{"previous_response_id": before.ID}
		}},
	} {
		fields := tt.fields()
		next := mock.Plan{Seed: tt.seed}
		input := []any{stacktest.Fields{"role": "user", "content": next.Prompt()}}
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

	again := compacts(t, s, stacktest.Fields{"model": "capture", "input": append(anys(output), stacktest.Fields{
		"role": "user", "content": mock.Plan{Seed: 8805, Text: "Still there."}.Prompt(),
	})})
	if len(again) != 3 || string(again[0]) != string(output[0]) {
		t.Errorf("compacted again it is %s, want the first message as it was, the new one, and one item", again)
	}
}

// last is what the upstream got last of the calls whose first plan is this one.
func (c *capture) last(tb testing.TB, plan mock.Plan) string {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.bodies[plan.Seed]
	// The plan's own text has the summary's words, for the mock to say them.
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
