//go:build realmodel

package realmodel

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
)

var weatherSchema = object{
	"type": "object", "properties": object{"city": object{"type": "string"}}, "required": []string{"city"},
	"additionalProperties": false,
}

// function is a tool that the client runs.
func function(strict bool) object {
	return object{
		"type": "function", "name": "get_weather", "description": "The weather in a city.", "strict": strict,
		"parameters": weatherSchema,
	}
}

// registered offers the tool of dev's registry, which Windlass runs.
var registered = object{"type": "mcp", "server_label": "windlass", "allowed_tools": []string{"get_weather"}}

// llama-cpp-python's grammar makes the model call a tool that tool_choice
// names.
func TestFunctionCalls(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(t *testing.T, body object) *response{
		"whole":    func(t *testing.T, body object) *response { return create(t, body) },
		"streamed": func(t *testing.T, body object) *response { r, _ := stream(t, body); return r },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := run(t, object{
				"model": pythonChat, "input": "What is the weather in Paris?", "tools": []object{function(false)}, "temperature": 0,
				"tool_choice": object{"type": "function", "name": "get_weather"}, "max_output_tokens": 100,
			})
			calls := r.of("function_call")
			if len(calls) != 1 || calls[0].Name != "get_weather" || calls[0].CallID == "" {
				t.Fatalf("the response is %s with %+v", r.Status, r.Output)
			}
			var arguments struct{ City *string }
			if err := json.Unmarshal([]byte(calls[0].Arguments), &arguments); err != nil || arguments.City == nil {
				t.Errorf("the arguments are %q: %v", calls[0].Arguments, err)
			}
			answered := run(t, object{
				"model": pythonChat, "previous_response_id": r.ID, "tools": []object{function(false)}, "temperature": 0,
				"tool_choice": "none", "max_output_tokens": 24,
				"input": []object{{"type": "function_call_output", "call_id": calls[0].CallID, "output": `{"sky": "cloudy"}`}},
			})
			ended(t, answered)
		})
	}
}

// A server whose template has no tools ignores them or answers in text: neither
// fails the response.
func TestToolsThatTheModelDoesNotCall(t *testing.T) {
	t.Parallel()
	for _, model := range models {
		for name, tool := range map[string]object{"function": function(true), "registered": registered} {
			t.Run(model+"/"+name, func(t *testing.T) {
				t.Parallel()
				ended(t, create(t, object{
					"model": model, "input": "Say hello.", "tools": []object{tool}, "max_output_tokens": 24, "temperature": 0,
				}))
			})
		}
	}
}

// The small model repeats its call after every result. Each budget ends the
// loop. The model gets an error for calls over max_tool_calls and may continue.
func TestEndlessLoopEndsByItsBudget(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		budget object
		least  int // minimum of the calls that were made
		most   int
		reason string
	}{
		"the server's turns":   {object{}, maxTurns - 1, maxTurns - 1, "max_turns"},
		"the request's calls":  {object{"max_tool_calls": 2}, 2, 2, "max_turns"},
		"the request's tokens": {object{"max_output_tokens": 20}, 1, maxTurns - 1, "max_output_tokens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := loop()
			maps.Copy(body, tt.budget)
			r := create(t, body)
			if made := calls(r); r.Status != "incomplete" || r.reason() != tt.reason || made < tt.least || made > tt.most {
				t.Errorf("the response is %s by %q after %d calls, want incomplete by %q after %d to %d: %+v",
					r.Status, r.reason(), made, tt.reason, tt.least, tt.most, r.Error)
			}
		})
	}
}

// llama-cpp-python cannot stream if the model may choose a tool: it answers 200
// and an empty stream. The first turn names the tool, and so is complete.
func TestStreamThatTheServerCannotMakeFails(t *testing.T) {
	t.Parallel()
	r, _ := stream(t, loop())
	if r.Status != "failed" || r.Error == nil || !strings.Contains(r.Error.Message, "empty") || calls(r) != 1 {
		t.Errorf("the response is %s after %d calls with %+v, want it failed, and why", r.Status, calls(r), r.Error)
	}
}

// loop returns a request whose first turn must call the tool.
func loop() object {
	return object{
		"model": pythonChat, "input": "What is the weather in Paris?", "tools": []object{registered}, "temperature": 0,
		"tool_choice": object{"type": "mcp", "server_label": "windlass", "name": "get_weather"},
	}
}

// calls counts the executed calls of registered tools.
func calls(r *response) (made int) {
	for _, call := range r.of("mcp_call") {
		if call.Output != "" {
			made++
		}
	}
	return made
}
