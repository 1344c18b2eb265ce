package mock_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

func TestPlanShapesTheCalls(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	ask := func(p mock.Plan) (ids, names []string, finish string) {
		turn := newLoop(t, url, p.Prompt()).model().Choices[0]
		for _, c := range turn.Message.ToolCalls {
			ids, names = append(ids, c.ID), append(names, c.Function.Name)
		}
		return ids, names, turn.FinishReason
	}
	for _, tt := range []struct {
		name       string
		plan       mock.Plan
		ids, names []string
		finish     string
	}{
		{"plain", mock.Plan{Seed: 9, Rounds: 1, Width: 2}, []string{"call_9_0_0", "call_9_0_1"}, []string{"mock_echo", "mock_echo"}, "tool_calls"},
		{"dup", mock.Plan{Seed: 9, Rounds: 1, Width: 2, CallIDs: "dup"}, []string{"call_9_0", "call_9_0"}, []string{"mock_echo", "mock_echo"}, "tool_calls"},
		{"empty", mock.Plan{Rounds: 1, CallIDs: "empty"}, []string{""}, []string{"mock_echo"}, "tool_calls"},
		{"reuse", mock.Plan{Rounds: 1, CallIDs: "reuse"}, []string{"call_0"}, []string{"mock_echo"}, "tool_calls"},
		{"unknown", mock.Plan{Rounds: 1, Width: 2, UnknownTool: "nope", Tool: "x"}, []string{"call_0_0_0", "call_0_0_1"}, []string{"nope", "x"}, "tool_calls"},
		{"loop", mock.Plan{Loop: true}, []string{"call_0_0_0"}, []string{"mock_echo"}, "tool_calls"},
		{"cut", mock.Plan{Rounds: 1, CutToolCalls: true}, []string{"call_0_0_0"}, []string{"mock_echo"}, "length"},
		{"cycle", mock.Plan{Rounds: 1, Width: 3, Tools: []string{"x", "y"}, CallIDs: "reuse"}, []string{"call_0", "call_1", "call_2"}, []string{"x", "y", "x"}, "tool_calls"},
	} {
		ids, names, finish := ask(tt.plan)
		if diff := cmp.Diff([]any{tt.ids, tt.names, tt.finish}, []any{ids, names, finish}); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", tt.name, diff)
		}
	}
	p := mock.Plan{Rounds: 1, CutToolCalls: true}
	if arguments := newLoop(t, url, p.Prompt()).model().Choices[0].Message.ToolCalls[0].Function.Arguments; json.Valid([]byte(arguments)) {
		t.Errorf("cut arguments are still whole: %q", arguments)
	}
}

func TestPlanSetsToolTimeAndSize(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Rounds: 1, Width: 4, ToolMS: 1, SlowEvery: 3, SlowMS: 60, ToolBytes: 3000}
	l := newLoop(t, url, p.Prompt())
	for i, c := range l.model().Choices[0].Message.ToolCalls {
		started := time.Now()
		_, body, err := l.read("/tools/"+c.Function.Name, c.Function.Arguments)
		if err != nil || len(body) != 3000 || !json.Valid([]byte(body)) {
			t.Errorf("call %d gave %d bytes %.60q, error %v, want 3000 of JSON", i, len(body), body, err)
		}
		if took := time.Since(started); i == 2 && took < 60*time.Millisecond {
			t.Errorf("slow call took %v, want at least 60ms", took)
		}
		if slow := strings.Contains(c.Function.Arguments, `"ms":60,`); slow != (i == 2) {
			t.Errorf("call %d has the arguments %s", i, c.Function.Arguments)
		}
	}
}

func TestUnknownToolIsAskedForInRoundOne(t *testing.T) {
	t.Parallel()
	s, url := serve(t)
	p := mock.Plan{Seed: 1, Rounds: 2, Width: 2, UnknownTool: "nope"}
	newLoop(t, url, p.Prompt()).run() // this client calls it all the same
	for _, e := range s.Ledger() {
		if unknown := e.Round == 1 && e.Index == 0; e.Kind == "tool" && (e.Tool == "nope") != unknown {
			t.Errorf("round %d index %d called %q", e.Round, e.Index, e.Tool)
		}
	}
}

func TestSubAgentsAnswerTheirParent(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Seed: 3, Rounds: 1, Width: 3, Tool: "helper", Child: &mock.Plan{Rounds: 1, Width: 2}}
	parent := newLoop(t, url, p.Prompt())
	turn := parent.model().Choices[0].Message
	parent.messages = append(parent.messages, object{"role": "assistant", "tool_calls": turn.ToolCalls})
	texts := map[string]bool{}
	for _, c := range turn.ToolCalls {
		var arguments struct{ Input string }
		if err := json.Unmarshal([]byte(c.Function.Arguments), &arguments); err != nil {
			t.Fatalf("read arguments %q: %v", c.Function.Arguments, err)
		}
		text := newLoop(t, url, arguments.Input).run()
		texts[text] = true
		parent.messages = append(parent.messages, object{"role": "tool", "tool_call_id": c.ID, "content": text})
	}
	if len(texts) != 3 {
		t.Errorf("3 sub-agents gave %d different answers: %v", len(texts), texts)
	}
	if got, want := parent.run(), p.Answer(); got != want {
		t.Errorf("parent says %q, want %q", got, want)
	}
}

func TestBrokenConversationsAreRefused(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	p := mock.Plan{Seed: 1, Rounds: 1, Width: 2}
	user := object{"role": "user", "content": p.Prompt()}
	calls := func(ids ...string) object {
		var list []object
		for _, id := range ids {
			list = append(list, object{"id": id, "type": "function", "function": object{"name": "mock_echo", "arguments": "{}"}})
		}
		return object{"role": "assistant", "tool_calls": list}
	}
	output := func(id string) object { return object{"role": "tool", "tool_call_id": id, "content": "x"} }
	for name, tt := range map[string]struct {
		messages []object
		want     string
	}{
		"missing output":     {[]object{user, calls("a", "b"), output("a")}, "No tool output found for function call b."},
		"wrong id":           {[]object{user, calls("a", "b"), output("a"), output("c")}, "No tool call found for function call output with call_id c."},
		"twice":              {[]object{user, calls("a", "b"), output("a"), output("b"), output("a")}, "Duplicate tool output for function call a."},
		"before its call":    {[]object{user, output("a"), calls("a")}, "No tool call found for function call output with call_id a."},
		"after another turn": {[]object{user, calls("a", "b"), output("a"), user, output("b")}, "No tool output found for function call b."},
		"one id for two":     {[]object{user, calls("a", "a"), output("a")}, "Duplicate tool call id a."},
		"no id":              {[]object{user, calls("a", ""), output("a")}, "Missing id of tool call 1."},
		"more than asked":    {[]object{user, calls("a", "b", "c"), output("a"), output("b"), output("c")}, "Round 0 has 3 tool calls, the model made 2."},
		"no plan":            {[]object{{"role": "user", "content": "hello"}}, "needs a plan"},
		"broken plan":        {[]object{{"role": "user", "content": `plan: {"seed":`}}, "needs a plan"},
	} {
		l := newLoop(t, url, "")
		l.messages = tt.messages
		status, body, err := l.read("/v1/chat/completions", l.request())
		if err != nil || status != http.StatusBadRequest || !strings.Contains(body, tt.want) || !strings.Contains(body, `"invalid_request_error"`) {
			t.Errorf("%s: got %d %s (error %v), want 400 with %q", name, status, body, err, tt.want)
		}
	}
	for _, body := range []string{"", "{", "[]", `{"messages":[]}`, `{"model":"m","messages":5}`} {
		if status, answer, err := newLoop(t, url, "").read("/v1/chat/completions", body); err != nil || status != http.StatusBadRequest {
			t.Errorf("body %q: got %d %s (error %v), want 400", body, status, answer, err)
		}
	}
}

func TestPlanIsFoundInPartsAndAfterEarlierTurns(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	first, second := mock.Plan{Seed: 1, Rounds: 1}, mock.Plan{Seed: 2, Rounds: 2, Width: 2}
	l := newLoop(t, url, first.Prompt())
	l.messages = append(l.messages, object{"role": "assistant", "content": l.run()})
	l.messages = append(l.messages, object{"role": "user", "content": []object{
		{"type": "text", "text": "And now "}, {"type": "text", "text": second.Prompt()},
	}})
	l.rounds = 0
	if got, want := l.run(), second.Answer(); got != want || l.rounds != 2 {
		t.Errorf("second turn says %q after %d rounds, want %q after 2", got, l.rounds, want)
	}
}

func TestToolSchemaFitsTheArguments(t *testing.T) {
	t.Parallel()
	_, url := serve(t)
	var schema struct {
		Properties map[string]any
		Required   []string
	}
	if err := json.Unmarshal([]byte(mock.ToolSchema), &schema); err != nil {
		t.Fatalf("schema is no JSON: %v", err)
	}
	p := mock.Plan{Rounds: 1, ToolFaults: []mock.Fault{{Times: 1, Status: 503}}}
	arguments := newLoop(t, url, p.Prompt()).model().Choices[0].Message.ToolCalls[0].Function.Arguments
	var sent map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(arguments)))
	if err := decoder.Decode(&sent); err != nil {
		t.Fatalf("arguments %q are no JSON: %v", arguments, err)
	}
	for name := range sent {
		if _, known := schema.Properties[name]; !known {
			t.Errorf("argument %q is not in the schema", name)
		}
	}
	for _, name := range schema.Required {
		if _, there := sent[name]; !there {
			t.Errorf("arguments %s lack %q", arguments, name)
		}
	}
}
