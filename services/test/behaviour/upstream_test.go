package behaviour

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

const modelSecret = "sk-secret-of-the-upstream-0123456789"

// models adds "sealed", which has a credential, and "busy", whose lane may be
// paused.
func models(tb testing.TB) stack.Option {
	tb.Helper()
	secret := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(secret, []byte(modelSecret), 0o600); err != nil {
		tb.Fatal(err)
	}
	return func(file *registry.File, mockURL string) {
		m := file.Models[0]
		m.Name, m.Upstream.Credential = "sealed", registry.Credential{File: secret}
		busy := file.Models[0]
		busy.Name = "busy"
		file.Models = append(file.Models, m, busy)
	}
}

func upstreamFailures(t *testing.T, s *stack.Stack) {
	const always, twice = 0, 2
	tests := []struct {
		name    string
		fault   mock.Fault
		code    string // of the response if it failed, or else of the model step
		message string // part of the response's message
		status  string
		calls   int  // number of attempts
		hidden  bool // the mock does not receive all of them
	}{
		{"500 always", mock.Fault{Times: always}, "server_error", "The plan has the mock answer 500.", "failed", 3, false},
		{"500 twice", mock.Fault{Times: twice}, "server_error", "", "completed", 3, false},
		{"429 always", mock.Fault{Status: 429}, "rate_limit_exceeded", "answer 429", "failed", 3, false},
		{"408 twice", mock.Fault{Status: 408, Times: twice}, "timeout", "", "completed", 3, false},
		{"400", mock.Fault{Status: 400}, "invalid_prompt", "The plan has the mock answer 400.", "failed", 1, false},
		{
			"400 with a code",
			mock.Fault{Status: 400, Body: `{"error":{"message":"Too long.","code":"context_length_exceeded"}}`},
			"context_length_exceeded", "Too long.", "failed", 1, false,
		},
		{
			"400 with a code that is none",
			mock.Fault{Status: 400, Body: `{"error":{"message":"No\u0000.","code":"a\u0000 b"}}`},
			"invalid_prompt", "No", "failed", 1, false,
		},
		{"404 in HTML", mock.Fault{Status: 404, Mode: "html"}, "upstream_not_found", "HTTP 404: Bad Gateway", "failed", 1, false},
		{"404 of a model", mock.Fault{Status: 404, Body: `{"error":"model 'x' not found"}`}, "model_not_found", "HTTP 404: model 'x' not found", "failed", 1, false},
		{"403 with words", mock.Fault{Status: 403, Body: `{"detail":"Not in your country."}`}, "upstream_forbidden", "HTTP 403: Not in your country.", "failed", 1, false},
		{"501", mock.Fault{Status: 501, Body: `{"error":{"message":"Not here.","type":"not_supported_error","code":501}}`}, "server_error", "HTTP 501: Not here.", "failed", 1, false},
		{"a quota that is spent", mock.Fault{Status: 429, Body: `{"error":{"message":"Pay.","code":"insufficient_quota"}}`}, "insufficient_quota", "HTTP 429: Pay.", "failed", 1, false},
		{"a call that the model failed, twice", mock.Fault{Status: 400, Times: twice, Body: `{"error":{"message":"Failed to call a function.","code":"tool_use_failed","failed_generation":"<f>"}}`}, "tool_use_failed", "", "completed", 3, false},
		{"400 in an answer", mock.Fault{Status: 200, Body: `{"error":{"code":400,"message":"Too long."}}`}, "invalid_prompt", "error 400: Too long.", "failed", 1, false},
		{"502 in an answer, twice", mock.Fault{Status: 200, Times: twice, Body: `[{"error":{"code":502,"message":"Provider returned error"}}]`}, "server_error", "", "completed", 3, false},
		{"a redirect to itself", mock.Fault{Mode: "redirect"}, "upstream_redirect", "redirects to http://127.0.0.1:", "failed", 1, true},
		{"hangs always", mock.Fault{Mode: "hang"}, "timeout", "in time", "failed", 3, false},
		{"hangs once", mock.Fault{Mode: "hang", Times: 1}, "timeout", "", "completed", 2, false},
		{"malformed always", mock.Fault{Mode: "malformed"}, "server_error", "malformed", "failed", 3, false},
		{"malformed twice", mock.Fault{Mode: "malformed", Times: twice}, "server_error", "", "completed", 3, false},
		{"breaks off always", mock.Fault{Mode: "truncate"}, "connection_error", "broke off", "failed", 3, false},
		{"breaks off twice", mock.Fault{Mode: "truncate", Times: twice}, "connection_error", "", "completed", 3, false},
		{"an empty answer always", mock.Fault{Mode: "empty"}, "server_error", "malformed", "failed", 3, false},
		{"HTML twice", mock.Fault{Mode: "html", Times: twice}, "server_error", "", "completed", 3, false},
		{"binary twice", mock.Fault{Mode: "binary", Times: twice}, "server_error", "", "completed", 3, false},
		{"resets always", mock.Fault{Mode: "reset"}, "connection_error", "", "failed", 3, true},
		{"resets twice", mock.Fault{Mode: "reset", Bytes: 20, Times: twice}, "connection_error", "", "completed", 3, false},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.fault.Round = 1
			plan := mock.Plan{Seed: int64(3000 + i), Rounds: 2, Width: 2, ModelFaults: []mock.Fault{tt.fault}}
			r := s.Ask(t, plan, nil)
			steps := sound(t, s, r, plan.Seed)
			st := step(t, steps, 2, 0)
			state := "done"
			if tt.status == "failed" {
				state = "failed"
				ended(t, r, "failed", tt.code)
				if r.Error == nil || !strings.Contains(r.Error.Message, tt.message) {
					t.Errorf("error is %+v, want one with %q", r.Error, tt.message)
				}
				if len(r.Calls("mcp_call")) != 2 {
					t.Errorf("%d calls in the output, want the 2 of the turn before", len(r.Calls("mcp_call")))
				}
			} else {
				completed(t, r, plan.Answer())
			}
			// A turn that was parked starts another attempt when it continues,
			// so attempts may outnumber calls.
			if st.State != state || code(st) != tt.code || st.Attempt < tt.calls || st.Attempt > 2*tt.calls-1 {
				t.Errorf("step is %s by %q at attempt %d, want %s by %q after %d calls", st.State, code(st), st.Attempt, state, tt.code, tt.calls)
			}
			calls := 0
			for _, e := range s.Calls("model", plan.Seed) {
				if e.Round == 1 {
					calls++
				}
			}
			if !tt.hidden && calls != tt.calls {
				t.Errorf("the model was called %d times in round 1, want %d", calls, tt.calls)
			}
		})
	}
}

func secrecy(t *testing.T, s *stack.Stack) {
	for i, status := range []int{401, 400} {
		plan := mock.Plan{Seed: int64(3100 + i), ModelFaults: []mock.Fault{{
			Round: -1, Status: status, Body: `{"error":{"message":"Incorrect API key provided: ` + modelSecret + `."}}`,
		}}}
		r := s.Ask(t, plan, stack.Fields{"model": "sealed"})
		ended(t, r, "failed", map[int]string{401: "upstream_unauthorized", 400: "invalid_prompt"}[status])
		calls := s.Calls("model", plan.Seed)
		if len(calls) != 1 || !calls[0].AuthorizationPresent {
			t.Errorf("calls %+v, want one with a credential", calls)
		}
		_, steps := s.Do(t, "GET", "/v1/responses/"+r.ID+"/steps", nil)
		if strings.Contains(string(r.JSON)+withoutInputs(t, steps), modelSecret) {
			t.Errorf("HTTP %d: the credential is shown: %s %s", status, r.JSON, steps)
		}
	}
	for _, entry := range s.Logs.All() {
		for key, value := range entry.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, modelSecret) {
				t.Errorf("the credential is in the log line %q, field %s", entry.Message, key)
			}
		}
	}
}

// withoutInputs removes the models' inputs from an audit trail: here they are
// the plans, with the secret in them.
func withoutInputs(tb testing.TB, steps []byte) string {
	tb.Helper()
	var trail struct{ Data []map[string]any }
	if err := json.Unmarshal(steps, &trail); err != nil {
		tb.Fatalf("%v: %s", err, steps)
	}
	for _, step := range trail.Data {
		delete(step, "input")
	}
	return fmt.Sprint(trail.Data)
}

func upstreamRetryAfter(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 3200, ModelFaults: []mock.Fault{{Round: -1, Status: 429, RetryAfter: "2", Times: 1}}}
	r := s.Ask(t, plan, stack.Fields{"model": "busy"})
	completed(t, r, plan.Answer())
	calls := s.Calls("model", plan.Seed)
	if len(calls) != 2 || calls[1].Started.Sub(calls[0].Ended) < 2*time.Second || calls[1].Started.Sub(calls[0].Ended) > 6*time.Second {
		t.Errorf("calls %+v, want two, 2 s and little more apart", calls)
	}
	if st := step(t, s.Steps(t, r.ID), 1, 0); st.Attempt < 2 || code(st) != "rate_limit_exceeded" || st.Error.HTTPStatus != 429 {
		t.Errorf("step %+v, want one that was attempted again after a 429", st)
	}
}

func cutAnswers(t *testing.T, s *stack.Stack) {
	tests := []struct {
		name   string
		change func(*mock.Plan)
		reason string
	}{
		{"by length", func(p *mock.Plan) { p.FinishReason = "length" }, "max_output_tokens"},
		{"by a filter", func(p *mock.Plan) { p.FinishReason = "content_filter" }, "content_filter"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(4000 + i), Rounds: 1}
			tt.change(&plan)
			r := s.Ask(t, plan, nil)
			ended(t, r, "incomplete", tt.reason)
			if last := r.Output[len(r.Output)-1]; last.Status != "incomplete" || r.Text() != plan.Answer() {
				t.Errorf("last item is %+v, want the incomplete message", last)
			}
			sound(t, s, r, plan.Seed)
		})
	}
	t.Run("in the middle of calls", func(t *testing.T) {
		t.Parallel()
		plan := mock.Plan{Seed: 4100, Rounds: 1, Width: 3, CutToolCalls: true}
		r := s.Ask(t, plan, nil)
		ended(t, r, "incomplete", "max_output_tokens")
		if calls := len(s.Calls("tool", plan.Seed)); calls != 0 {
			t.Errorf("%d calls were made, want none", calls)
		}
		for _, it := range r.Output[1:] { // after the list of tools
			if it.Type != "mcp_call" || it.Status != "incomplete" || it.Output != nil {
				t.Errorf("the output has %+v, want incomplete calls", it)
			}
		}
	})
}

// oddEnd holds that an unknown finish reason does not fail a complete answer.
func oddEnd(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 4101, Rounds: 1, FinishReason: "tired"}
	completed(t, s.Ask(t, plan, nil), plan.Answer())
}
