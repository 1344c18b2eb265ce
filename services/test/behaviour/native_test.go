package behaviour

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// native changes every upstream to the Responses API, and adds "unsealed",
// whose upstream seals no reasoning.
func native(file *registry.File, _ string) {
	for i := range file.Models {
		file.Models[i].Upstream.Dialect = registry.Responses
	}
	m := file.Models[0]
	m.Name, m.Upstream.NoEncryptedReasoning = "unsealed", true
	file.Models = append(file.Models, m)
}

// TestNativeUpstreams runs the cases of every upstream with upstreams of the
// Responses API.
func TestNativeUpstreams(t *testing.T) {
	t.Parallel()
	s := stack.Start(t, models(t), native)
	for name, group := range map[string]func(*testing.T, *stack.Stack){
		"the model's odd calls":          oddCalls,
		"the upstream's failures":        upstreamFailures,
		"credentials stay secret":        secrecy,
		"the upstream is left alone too": upstreamRetryAfter,
		"an answer that was cut":         cutAnswers,
		"an answer that ended oddly":     incompleteFor,
		"the client's functions":         clientFunctions,
		"tool_choice":                    allowedTools,
		"streams":                        streams,
		"reasoning":                      nativeReasoning,
		"custom tools":                   customTools,
		"namespaces":                     namespaces,
		"failures in an answer":          nativeFailures,
		"requests that are one call":     nativeCalls,
		"histories that are compacted":   nativeCompactions,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group(t, s)
		})
	}
}

// incompleteFor holds that an upstream of this dialect gives the reason why an
// answer is incomplete.
func incompleteFor(t *testing.T, s *stack.Stack) {
	ended(t, s.Ask(t, mock.Plan{Seed: 4102, FinishReason: "tired"}, nil), "incomplete", "unknown_finish_reason")
}

// nativeReasoning holds that the sealed reasoning before calls is sent back;
// the mock refuses a history without it.
func nativeReasoning(t *testing.T, s *stack.Stack) {
	const thought = "let me think"
	for name, tt := range map[string]struct {
		fields stack.Fields
		sealed bool
		want   string // of the first item
	}{
		"by default":        {nil, true, `"content":[{"type":"reasoning_text","text":"` + thought + `"}]`},
		"summed up":         {stack.Fields{"reasoning": stack.Fields{"summary": "auto"}}, true, `"summary":[{"type":"summary_text","text":"` + thought + `"}]`},
		"that is unsealed":  {stack.Fields{"model": "unsealed"}, false, thought},
		"that was streamed": {stack.Fields{"stream": true}, true, thought},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9000 + len(name)), Rounds: 2, Width: 2, Reasoning: thought}
			var r stack.Response
			if tt.fields["stream"] != nil {
				r = stack.Streamed(t, s.Stream(t, plan, tt.fields))
			} else {
				r = s.Ask(t, plan, tt.fields)
			}
			completed(t, r, plan.Answer())
			sound(t, s, r, plan.Seed)
			followed := 0
			for i, it := range r.Output {
				if it.Type == "reasoning" && r.Output[i+1].Type != "reasoning" {
					followed++
				}
			}
			if followed != 3 {
				t.Errorf("%d reasoning items with something behind them, want one of each turn: %s", followed, r.JSON)
			}
			if got := string(r.JSON); !strings.Contains(got, tt.want) || strings.Contains(got, "gAAAA-mock-9") != tt.sealed {
				t.Errorf("the response is %s, want %s in it, sealed: %v", got, tt.want, tt.sealed)
			}
			fields := stack.Fields{"previous_response_id": r.ID}
			if model := tt.fields["model"]; model != nil {
				fields["model"] = model
			}
			next := mock.Plan{Seed: plan.Seed + 100, Rounds: 1, Reasoning: thought}
			completed(t, s.Ask(t, next, fields), next.Answer())
		})
	}
	t.Run("that the client gives back", func(t *testing.T) {
		t.Parallel()
		plan := mock.Plan{Seed: 9200, Rounds: 1, Width: 2, Tool: "lookup", Reasoning: thought}
		tools := stack.Fields{"tools": []stack.Fields{lookup}}
		r := s.Ask(t, plan, tools)
		input := []any{stack.Fields{"role": "user", "content": plan.Prompt()}}
		var object struct{ Output []any }
		if err := json.Unmarshal(r.JSON, &object); err != nil {
			t.Fatal(err)
		}
		input = append(input, object.Output...)
		for _, f := range r.Calls("function_call") {
			input = append(input, stack.Fields{"type": "function_call_output", "call_id": f.CallID, "output": `{"value":1}`})
		}
		r = s.Ask(t, plan, stack.Fields{"tools": tools["tools"], "input": input})
		ended(t, r, "completed", "")
		for _, e := range s.Calls("model", plan.Seed) {
			if e.Status != http.StatusOK {
				t.Errorf("round %d was answered %d", e.Round, e.Status)
			}
		}
	})
}

// customTools holds that the client's custom tools are called with a text of
// any form, beside the server's tools.
func customTools(t *testing.T, s *stack.Stack) {
	patch := stack.Fields{"type": "custom", "name": "patch", "description": "Applies a patch.", "format": stack.Fields{"type": "text"}}
	for i, tt := range []struct {
		name   string
		names  []string // of the tools that the model calls
		fields stack.Fields
		custom int
		hosted int
	}{
		{"alone", []string{"patch"}, stack.Fields{"tools": []stack.Fields{patch}}, 2, 0},
		{"that has to be called", []string{"patch"}, stack.Fields{"tools": []stack.Fields{patch}, "tool_choice": stack.Fields{"type": "custom", "name": "patch"}}, 2, 0},
		{"beside the server's", []string{"mock_echo", "patch"}, stack.Fields{"tools": []stack.Fields{patch, hosted}}, 1, 1},
		{"streamed", []string{"patch"}, stack.Fields{"tools": []stack.Fields{patch, hosted}, "stream": true}, 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9600 + i), Rounds: 1, Width: 2, Tools: tt.names, RawArguments: "*** “any” text {"}
			if tt.hosted > 0 {
				plan.RawArguments = ""
			}
			var r stack.Response
			if tt.fields["stream"] != nil {
				r = stack.Streamed(t, s.Stream(t, plan, tt.fields))
			} else {
				r = s.Ask(t, plan, tt.fields)
			}
			ended(t, r, "completed", "")
			calls := r.Calls("custom_tool_call")
			if len(calls) != tt.custom || len(r.Calls("mcp_call")) != tt.hosted || len(s.Calls("tool", plan.Seed)) != tt.hosted {
				t.Fatalf("%d custom and %d hosted calls, want %d and %d: %s", len(calls), len(r.Calls("mcp_call")), tt.custom, tt.hosted, r.JSON)
			}
			var input []any
			for _, call := range calls {
				if plan.RawArguments != "" && call.Input != plan.RawArguments || !strings.HasPrefix(call.ID, "ctc_") || call.Status != "completed" {
					t.Errorf("a call is %+v, want the input %q", call, plan.RawArguments)
				}
				input = append(input, stack.Fields{"type": "custom_tool_call_output", "call_id": call.CallID, "output": `{"value":1}`})
			}
			status, text := s.Do(t, http.MethodPost, "/v1/responses", []byte(`{"model":"mock","input":"and now?","previous_response_id":"`+r.ID+`"}`))
			if status != http.StatusBadRequest || !strings.Contains(string(text), calls[0].CallID) {
				t.Errorf("without the outputs it is continued with %d: %s", status, text)
			}
			next := s.Ask(t, plan, stack.Fields{"tools": tt.fields["tools"], "previous_response_id": r.ID, "input": input})
			ended(t, next, "completed", "")
			if n := len(next.Calls("message")); n != 1 {
				t.Errorf("the response continues with %s, want its message", next.JSON)
			}
		})
	}
}

// namespaces holds that the client's tools in a namespace are called by both
// names.
func namespaces(t *testing.T, s *stack.Stack) {
	space := stack.Fields{"type": "namespace", "name": "crm", "description": "Customers.", "tools": []stack.Fields{
		{"type": "function", "name": "lookup", "parameters": stack.Fields{"type": "object"}}, {"type": "custom", "name": "patch"},
	}}
	for i, streamed := range []bool{false, true} {
		t.Run([]string{"whole", "streamed"}[i], func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9700 + i), Rounds: 1, Width: 3, Tools: []string{"lookup", "patch", "mock_echo"}}
			fields := stack.Fields{"tools": []stack.Fields{space, hosted}}
			var r stack.Response
			if streamed {
				r = stack.Streamed(t, s.Stream(t, plan, fields))
			} else {
				r = s.Ask(t, plan, fields)
			}
			ended(t, r, "completed", "")
			var got []string
			var input []any
			for _, it := range r.Output {
				got = append(got, it.Type+" "+it.Namespace+" "+it.Name)
				if it.Type == "function_call" || it.Type == "custom_tool_call" {
					input = append(input, stack.Fields{"type": it.Type + "_output", "call_id": it.CallID, "output": "1"})
				}
			}
			equal(t, "output", []string{"mcp_list_tools  ", "function_call crm lookup", "custom_tool_call crm patch", "mcp_call  mock_echo"}, got)
			fields["previous_response_id"], fields["input"] = r.ID, input
			ended(t, s.Ask(t, plan, fields), "completed", "")
		})
	}
}
