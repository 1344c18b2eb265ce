package behaviour

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// nativeFailures holds that a failure in an answer with status 200 is a
// failure.
func nativeFailures(t *testing.T, s *stack.Stack) {
	const event = "event: x\ndata: {\"type\":\"response.created\",\"response\":{}}\n\nevent: x\ndata: "
	failed := func(fault string) string { return `{"status":"failed","error":` + fault + `,"output":[]}` }
	for i, tt := range []struct {
		name   string
		body   string
		stream bool
		code   string
		calls  int
	}{
		{"that may pass", failed(`{"code":"server_error","message":"oops"}`), false, "server_error", 3},
		{"of the request", failed(`{"code":"invalid_image","message":"no"}`), false, "invalid_image", 1},
		{"that names the key", failed(`{"code":"` + modelSecret + `","message":"bad key ` + modelSecret + `"}`), false, "invalid_prompt", 1},
		{"that names the key, streamed", event + `{"type":"error","code":"` + modelSecret + `","message":"bad key ` + modelSecret + "\"}\n\n", true, "invalid_prompt", 1},
		{"at the end of a stream", event + `{"type":"response.failed","response":` + failed(`{"code":"invalid_image","message":"no"}`) + "}\n\n", true, "invalid_image", 1},
		{"without an end", event + `{"type":"response.in_progress"}` + "\n\ndata: [DONE]\n\n", true, "server_error", 3},
		{
			"that contradicts itself", event + `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c","name":"f"}}` + "\n\n" +
				`data: {"type":"response.completed","response":{"status":"completed","output":[{"type":"function_call","call_id":"c","name":"g"}]}}` + "\n\n",
			true, "server_error", 3,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9300 + i), ModelFaults: []mock.Fault{{Round: -1, Status: 200, Body: tt.body}}}
			fields := stack.Fields{"model": "sealed"}
			var r stack.Response
			if tt.stream {
				r = stack.Streamed(t, s.Stream(t, plan, fields))
			} else {
				r = s.Ask(t, plan, fields)
			}
			ended(t, r, "failed", tt.code)
			if n := len(s.Calls("model", plan.Seed)); n != tt.calls {
				t.Errorf("the model was called %d times, want %d", n, tt.calls)
			}
			_, steps := s.Do(t, "GET", "/v1/responses/"+r.ID+"/steps", nil)
			if strings.Contains(string(r.JSON)+withoutInputs(t, steps), modelSecret) {
				t.Errorf("the credential is shown: %s %s", r.JSON, steps)
			}
		})
	}
}

// nativeCalls holds that requests that are one call go to their own endpoint,
// whatever the upstream's dialect.
func nativeCalls(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9400}
	prompt, err := json.Marshal(plan.Prompt())
	if err != nil {
		t.Fatal(err)
	}
	for path, body := range map[string]string{
		"/v1/embeddings":       `{"model":"mock","input":"a","dimensions":4}`,
		"/v1/chat/completions": `{"model":"mock","messages":[{"role":"user","content":` + string(prompt) + `}]}`,
	} {
		if status, text := s.Do(t, http.MethodPost, path, []byte(body)); status != http.StatusOK {
			t.Errorf("%s answered %d: %s", path, status, text)
		}
	}
}

// TestWindlassBehindWindlass uses a whole Windlass as the upstream of another.
func TestWindlassBehindWindlass(t *testing.T) {
	t.Parallel()
	back := stack.Start(t)
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(back.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	front := stack.Start(t, func(file *registry.File, _ string) {
		file.Models[0].Upstream = registry.Upstream{
			URL: back.URL + "/v1", Dialect: registry.Responses, Credential: registry.Credential{File: key},
		}
	})
	for i, tt := range []struct {
		name   string
		plan   mock.Plan
		fields stack.Fields
		status string
	}{
		{"a text", mock.Plan{Text: "one two three"}, nil, "completed"},
		{"tools and reasoning", mock.Plan{Rounds: 2, Width: 2, Reasoning: "let me think"}, nil, "completed"},
		{"the client's functions", mock.Plan{Rounds: 1, Tool: "lookup"}, stack.Fields{"tools": []stack.Fields{lookup}}, "completed"},
		{"cut off", mock.Plan{Text: "one two", FinishReason: "length"}, nil, "incomplete"},
		{"refused", mock.Plan{ModelFaults: []mock.Fault{{Status: 400}}}, nil, "failed"},
		{"tried again", mock.Plan{Text: "four", ModelFaults: []mock.Fault{{Times: 1, Mode: "reset"}}}, nil, "completed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.plan.Seed = int64(9500 + 2*i)
			whole := front.Ask(t, tt.plan, tt.fields)
			tt.plan.Seed++
			streamed := stack.Streamed(t, front.Stream(t, tt.plan, tt.fields))
			for _, r := range []stack.Response{whole, streamed} {
				if r.Status != tt.status || tt.plan.Text != "" && r.Text() != tt.plan.Text {
					t.Errorf("the response is %s with %q, want %s with %q: %s", r.Status, r.Text(), tt.status, tt.plan.Text, r.JSON)
				}
			}
			if len(whole.Output) != len(streamed.Output) {
				t.Errorf("%d items, streamed %d", len(whole.Output), len(streamed.Output))
			}
		})
	}
}
