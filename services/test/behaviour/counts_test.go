package behaviour

import (
	"encoding/json"
	"net/http"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// tokensOf returns the number of tokens of a request.
func tokensOf(tb testing.TB, s *stack.Stack, fields stack.Fields) int {
	tb.Helper()
	status, header, text := ask(tb, s, "/v1/responses/input_tokens", fields)
	var got struct {
		Object    string
		Tokens    int `json:"input_tokens"`
		Estimated bool
	}
	if err := json.Unmarshal(text, &got); err != nil || status != http.StatusOK || got.Object != "response.input_tokens" || !got.Estimated {
		tb.Fatalf("a count answered %d %s", status, text)
	}
	steps := s.CallSteps(tb, header)
	if len(steps) != 1 || steps[0].State != "done" || steps[0].Input != nil || steps[0].Output != nil {
		tb.Errorf("the steps of a count are %+v", steps)
	}
	return got.Tokens
}

// countedTokens holds that counting includes the whole history, and makes no
// response.
func (c *capture) countedTokens(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 8900, Rounds: 1, Width: 2, Text: "The keys are under the mat."}
	first := s.Ask(t, plan, stack.Fields{"model": "capture"})
	completed(t, first, plan.Text)
	alone := tokensOf(t, s, stack.Fields{"model": "capture", "input": "hello world"})
	if alone != 9 {
		t.Errorf("hello world is %d tokens, want 9", alone)
	}
	status, text := s.Do(t, http.MethodPost, "/v1/conversations", []byte(`{"items":[{"role":"user","content":"one two three"},{"role":"assistant","content":"four"}]}`))
	var talk struct{ ID string }
	if err := json.Unmarshal(text, &talk); err != nil || status != http.StatusOK {
		t.Fatalf("a conversation answered %d %s", status, text)
	}
	for name, tt := range map[string]struct {
		fields stack.Fields
		least  int // more than without history
	}{
		"behind a response":     {stack.Fields{"previous_response_id": first.ID}, 40},
		"on a conversation":     {stack.Fields{"conversation": talk.ID}, 3 + 3 + 3 + 1},
		"with registered tools": {stack.Fields{"tools": []any{map[string]string{"type": "mcp", "server_label": "windlass"}}}, 20},
		"with instructions":     {stack.Fields{"instructions": "Be brief."}, 3 + 3},
	} {
		tt.fields["model"], tt.fields["input"] = "capture", "hello world"
		if got := tokensOf(t, s, tt.fields); got < alone+tt.least || got > alone+2000 {
			t.Errorf("%s: %d tokens, want %d more than %d at least", name, got, tt.least, alone)
		}
	}
	if status, text := s.Do(t, http.MethodGet, "/v1/conversations/"+talk.ID+"/items", nil); status != http.StatusOK || len(text) > 1000 {
		t.Errorf("the conversation answered %d %s", status, text)
	}
}
