package plan

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func TestCallIDsAreUnique(t *testing.T) {
	t.Parallel()
	s := newState(t, "")
	s.Turn, s.Turns = 2, []transcript.Turn{turnBefore(1, 0, responses.Usage{})}
	s.Request = decode(t, `"x":1`)
	input, fault := item.List([]byte(`[{"type":"function_call","call_id":"mine","name":"f","arguments":""}]`), "input")
	if fault != nil {
		t.Fatal(fault)
	}
	s.Request.Input = input
	earlier, fault := item.List([]byte(`[{"type":"function_call","call_id":"theirs","name":"f","arguments":""}]`), "input")
	if fault != nil {
		t.Fatal(fault)
	}
	said := transcript.Turn{Record: transcript.Record{Items: []item.Item{item.Call{ID: "fc", CallID: "older", Name: "f"}.Function()}}}
	s.Earlier = []transcript.Ancestor{{Input: earlier, Turns: []transcript.Turn{said}}}
	names := map[string]bool{"old0": true, "mine": true, "theirs": true, "older": true}
	given := []string{
		"new", "new", "", "", "old0", "mine", "theirs", "older", "a\x00b", strings.Repeat("ü", 100), "functions.get_weather:0", "functions.get_weather:0",
		strings.Repeat("x", 64), strings.Repeat("x", 64) + "y", strings.Repeat("x", 64) + "z", "a b", "a/b", "naïve", "<|call|>", "\"",
	}
	var asked []model.ToolCall
	for _, id := range given {
		asked = append(asked, model.ToolCall{ID: id, Name: "add", Arguments: `{"n":1}`})
	}
	record, commit := next(s, say{Calls: asked})
	for i, step := range commit.Steps {
		if names[step.CallID] || step.CallID == "" || strings.ContainsFunc(step.CallID, unusual) || len(step.CallID) > 64 {
			t.Errorf("call id %q of %q is used before or cannot be", step.CallID, given[i])
		}
		if strings.HasPrefix(step.CallID, "call_") && len(step.CallID) > 40 {
			t.Errorf("call id %q has %d characters, more than upstreams take", step.CallID, len(step.CallID))
		}
		if record.Items[i].CallID != step.CallID {
			t.Errorf("item %d has the call id %q, its step %q", i, record.Items[i].CallID, step.CallID)
		}
		names[step.CallID] = true
	}
	if commit.Steps[0].CallID != "new" {
		t.Errorf("call id is %q, want the model's", commit.Steps[0].CallID)
	}
}
