package behaviour

import (
	"encoding/json"
	"testing"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

var (
	hosted = stack.Fields{"type": "mcp", "server_label": "windlass"}
	lookup = stack.Fields{"type": "function", "name": "lookup", "parameters": map[string]any{"type": "object"}}
)

// clientFunctions holds that the client gets the calls of its functions, in the
// turn in which the server's tools run.
func clientFunctions(t *testing.T, s *stack.Stack) {
	shadow := stack.Fields{"type": "function", "name": "mock_echo"}
	tests := []struct {
		name      string
		names     []string // of the tools that the model calls, by index
		tools     []stack.Fields
		functions int // function_call items
		calls     int // calls of tools
	}{
		{"functions only", []string{"lookup"}, []stack.Fields{lookup}, 2, 0},
		{"functions only, beside a server", []string{"lookup"}, []stack.Fields{hosted, lookup}, 2, 0},
		{"both", []string{"lookup", "mock_echo"}, []stack.Fields{hosted, lookup}, 1, 1},
		{"both, the other way round", []string{"mock_echo", "lookup"}, []stack.Fields{lookup, hosted}, 1, 1},
		{"a function with a registered tool's name", []string{"mock_echo"}, []stack.Fields{hosted, shadow}, 2, 0},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(7000 + i), Rounds: 1, Width: 2, Tools: tt.names}
			r := s.Ask(t, plan, stack.Fields{"tools": tt.tools})
			ended(t, r, "completed", "")
			sound(t, s, r, plan.Seed)
			functions := r.Calls("function_call")
			if len(functions) != tt.functions || len(functions)+len(r.Calls("mcp_call")) != 2 || len(s.Calls("tool", plan.Seed)) != tt.calls {
				t.Fatalf("%d function calls of %d items and %d calls, want %d of 2 and %d",
					len(functions), len(functions)+len(r.Calls("mcp_call")), len(s.Calls("tool", plan.Seed)), tt.functions, tt.calls)
			}
			var object struct{ Output []json.RawMessage }
			if err := json.Unmarshal(r.JSON, &object); err != nil {
				t.Fatal(err)
			}
			input := []any{stack.Fields{"role": "user", "content": plan.Prompt()}}
			for _, it := range object.Output {
				input = append(input, it)
			}
			for _, f := range functions {
				input = append(input, stack.Fields{"type": "function_call_output", "call_id": f.CallID, "output": "sorry"})
			}
			if tt.names[0] != "mock_echo" || tt.calls == 0 { // otherwise the mock sees two rounds of one call
				ours := func(_, index int) bool { return tt.calls == 0 || tt.names[index] == "lookup" }
				completed(t, s.Ask(t, plan, stack.Fields{"tools": tt.tools, "input": input}), plan.AnswerIf(ours))
			}
		})
	}
}

// allowedTools holds that a tool that tool_choice does not allow is not run,
// even if the model calls it.
func allowedTools(t *testing.T, s *stack.Stack) {
	ref := func(name string) stack.Fields {
		return stack.Fields{"type": "mcp", "server_label": "windlass", "name": name}
	}
	allow := func(refs ...stack.Fields) stack.Fields {
		return stack.Fields{"tool_choice": stack.Fields{"type": "allowed_tools", "mode": "auto", "tools": refs}}
	}
	tests := []struct {
		name   string
		fields stack.Fields
		calls  int
	}{
		{"all of the server's", allow(hosted), 2},
		{"the one that is called", allow(ref("mock_echo")), 2},
		{"another one", allow(ref("mock_idempotent")), 0},
		{"a function", stack.Fields{
			"tools":       []stack.Fields{hosted, lookup},
			"tool_choice": allow(stack.Fields{"type": "function", "name": "lookup"})["tool_choice"],
		}, 0},
		{"named where the server is", stack.Fields{"tools": []stack.Fields{{
			"type": "mcp", "server_label": "windlass", "allowed_tools": []string{"mock_idempotent"},
		}}}, 0},
		{"no tools at all", stack.Fields{"tools": nil}, 0},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(7100 + i), Rounds: 1, Width: 2}
			r := s.Ask(t, plan, tt.fields)
			steps := sound(t, s, r, plan.Seed)
			if got := len(s.Calls("tool", plan.Seed)); got != tt.calls {
				t.Errorf("tools were called %d times, want %d", got, tt.calls)
			}
			if tt.calls > 0 {
				completed(t, r, plan.Answer())
				return
			}
			completed(t, r, plan.AnswerIf(func(int, int) bool { return true }))
			if got := code(step(t, steps, 1, 1)); got != "unknown_tool" {
				t.Errorf("call failed by %q, want unknown_tool", got)
			}
		})
	}
}
