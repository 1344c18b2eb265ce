package behaviour

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

func callFailures(t *testing.T, s *stack.Stack) {
	const always, twice = 0, 2
	const own = `{"error":{"message":"Too long.","type":"BadRequestError","param":"messages","code":"context_length_exceeded"}}`
	for i, tt := range []struct {
		name   string
		fault  mock.Fault
		status int
		code   string // of the client's error, or else of the step's last failure
		calls  int    // number of attempts
		hidden bool   // the mock does not receive all of them
		retry  string // X-Should-Retry
	}{
		{"400", mock.Fault{Status: 400, Body: own}, 400, "context_length_exceeded", 1, false, ""},
		{"404 in HTML", mock.Fault{Status: 404, Mode: "html"}, 404, "", 1, false, ""},
		{"422 with a number", mock.Fault{Status: 422, Body: `{"message":"No.","code":422}`}, 422, "422", 1, false, ""},
		{"401", mock.Fault{Status: 401}, 502, "upstream_unauthorized", 1, false, "false"},
		{"403", mock.Fault{Status: 403}, 502, "upstream_forbidden", 1, false, "false"},
		{"501", mock.Fault{Status: 501}, 502, "server_error", 1, false, "false"},
		{"400 in an answer", mock.Fault{Status: 200, Body: `{"error":{"message":"No.","code":400}}`}, 400, "400", 1, false, ""},
		{"502 in an answer twice", mock.Fault{Status: 200, Body: `{"error":{"message":"No.","code":502}}`, Times: twice}, 200, "server_error", 3, false, ""},
		{"a model that failed twice", mock.Fault{Status: 400, Body: `{"error":{"message":"No.","code":"tool_use_failed"}}`, Times: twice}, 200, "tool_use_failed", 3, false, ""},
		{"a redirect to itself", mock.Fault{Mode: "redirect"}, 502, "upstream_redirect", 1, true, "false"},
		{"429 always", mock.Fault{Status: 429}, 429, "rate_limit_exceeded", 3, false, "false"},
		{"429 twice", mock.Fault{Status: 429, Times: twice}, 200, "rate_limit_exceeded", 3, false, ""},
		{"500 always", mock.Fault{Times: always}, 502, "server_error", 3, false, "false"},
		{"500 twice", mock.Fault{Times: twice}, 200, "server_error", 3, false, ""},
		{"408 twice", mock.Fault{Status: 408, Times: twice}, 200, "timeout", 3, false, ""},
		{"hangs always", mock.Fault{Mode: "hang"}, 504, "timeout", 3, false, "false"},
		{"malformed always", mock.Fault{Mode: "malformed"}, 502, "server_error", 3, false, "false"},
		{"malformed twice", mock.Fault{Mode: "malformed", Times: twice}, 200, "server_error", 3, false, ""},
		{"breaks off twice", mock.Fault{Mode: "truncate", Times: twice}, 200, "connection_error", 3, false, ""},
		{"no choices always", mock.Fault{Mode: "empty"}, 502, "server_error", 3, false, "false"},
		{"resets always", mock.Fault{Mode: "reset"}, 502, "connection_error", 3, true, "false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(9300 + i), ModelFaults: []mock.Fault{tt.fault}}
			status, header, text := chat(t, s, "mock", plan)
			steps := s.CallSteps(t, header)
			if status != tt.status || header.Get("X-Should-Retry") != tt.retry || len(steps) != 1 {
				t.Fatalf("answered %d %v %s with the steps %+v, want %d, X-Should-Retry %q", status, header, text, steps, tt.status, tt.retry)
			}
			state := "done"
			if status == http.StatusOK {
				if c := code(steps[0]); c != tt.code {
					t.Errorf("the last failure was %q, want %q", c, tt.code)
				}
			} else {
				state = "failed"
				if e := envelope(t, text); e.Code != tt.code {
					t.Errorf("the error is %+v, want the code %q", e, tt.code)
				}
			}
			if tt.fault.Body == own && string(text) != own {
				t.Errorf("the client got\n%s\nwant\n%s", text, own)
			}
			if steps[0].State != state || steps[0].Attempt < tt.calls {
				t.Errorf("the step is %+v, want it %s after %d calls", steps[0], state, tt.calls)
			}
			if calls := len(s.Calls("model", plan.Seed)); !tt.hidden && calls != tt.calls {
				t.Errorf("the model was called %d times, want %d", calls, tt.calls)
			}
		})
	}
}

func callRetryAfter(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9400, ModelFaults: []mock.Fault{{Status: 429, RetryAfter: "2", Times: 1}}}
	status, _, text := chat(t, s, "busy", plan)
	calls := s.Calls("model", plan.Seed)
	if status != http.StatusOK || len(calls) != 2 || calls[1].Started.Sub(calls[0].Ended) < 2*time.Second {
		t.Errorf("answered %d %s after the calls %+v, want two of them, 2 s apart", status, text, calls)
	}
	plan = mock.Plan{Seed: 9401, ModelFaults: []mock.Fault{{Status: 429, RetryAfter: "7200"}}} // longer than the deadline
	status, header, text := chat(t, s, "busy", plan)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "7200" || header.Get("X-Should-Retry") != "false" {
		t.Errorf("answered %d %v %s, want the upstream's 429 at once", status, header, text)
	}
	if n := len(s.Calls("model", plan.Seed)); n != 1 {
		t.Errorf("the model was called %d times, want once", n)
	}
}

func callHungUp(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9500, ThinkMS: 2500}
	body, err := json.Marshal(stack.Fields{"model": "mock", "messages": []stack.Fields{{"role": "user", "content": plan.Prompt()}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := client.Do(r); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered %d, want nothing", resp.StatusCode)
		}
	}()
	calls := func() []mock.Entry { return s.Calls("model", plan.Seed) }
	eventually(t, "the model's call", func() bool { return len(calls()) == 1 })
	hangUp()
	<-gone
	eventually(t, "the end of the model's call", func() bool { return !calls()[0].Ended.IsZero() })
	if all := calls(); len(all) != 1 || !all[0].Aborted {
		t.Errorf("calls %+v, want one that was broken off", all)
	}
}

func callSecrecy(t *testing.T, s *stack.Stack) {
	for i, status := range []int{400, 401, 429, 500} {
		plan := mock.Plan{Seed: int64(9600 + i), ModelFaults: []mock.Fault{{
			Status: status, Body: `{"error":{"message":"Bad key ` + modelSecret + `.","type":"` + modelSecret + `","code":"` + modelSecret + `"}}`,
		}}}
		_, header, text := chat(t, s, "sealed", plan)
		_, steps := s.Do(t, http.MethodGet, "/v1/requests/"+header.Get("Windlass-Request-Id")+"/steps", nil)
		if strings.Contains(string(text)+string(steps), modelSecret) {
			t.Errorf("HTTP %d: the credential is shown: %s %s", status, text, steps)
		}
		if calls := s.Calls("model", plan.Seed); len(calls) == 0 || !calls[0].AuthorizationPresent {
			t.Errorf("calls %+v, want some with a credential", calls)
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

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatalf("%s did not come about", what)
		}
	}
}
