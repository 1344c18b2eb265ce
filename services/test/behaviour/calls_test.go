package behaviour

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// puppet is an upstream that answers a request with what the request's member x_answer says, and keeps the last one it got.
type puppet struct {
	mu     sync.Mutex
	body   []byte
	path   string
	header http.Header
}

func (p *puppet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var told struct {
		Answer json.RawMessage `json:"x_answer"`
	}
	if err != nil || json.Unmarshal(body, &told) != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.body, p.path, p.header = body, r.URL.Path, r.Header.Clone()
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(told.Answer)
}

// TestCalls runs what holds for the endpoints that are one model call.
func TestCalls(t *testing.T) {
	t.Parallel()
	p := &puppet{}
	upstream := httptest.NewServer(p)
	t.Cleanup(upstream.Close)
	s := stack.Start(t, models(t), func(file *registry.File, _ string) {
		m := file.Models[1] // the one with a credential
		m.Name, m.Lane = "org/puppet", ""
		m.Upstream.URL, m.Upstream.Model = upstream.URL+"/v1", "vendor/model-1"
		file.Models = append(file.Models, m)
		patient := file.Models[0] // whose calls are not tried again because the machine is busy
		patient.Name, patient.Timeout = "patient", time.Minute
		file.Models = append(file.Models, patient)
	})
	for name, group := range map[string]func(*testing.T, *stack.Stack){
		"what the upstream gets and the client": func(t *testing.T, s *stack.Stack) { passed(t, s, p) },
		"chat completions":                      chats,
		"embeddings":                            embeddings,
		"completions":                           completions,
		"the upstream's failures":               callFailures,
		"the upstream is left alone":            callRetryAfter,
		"a client that hangs up":                callHungUp,
		"credentials stay secret":               callSecrecy,
		"streams":                               streamedCalls,
		"streams that are kept":                 archivedCalls,
		"streams that fail":                     streamedFailures,
		"a client that leaves a stream":         streamedHungUp,
		"streams of completions":                streamedElsewhere,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			group(t, s)
		})
	}
}

// passed compares bytes: nothing is lost, added or written otherwise, but for the model's name and stream.
func passed(t *testing.T, s *stack.Stack, p *puppet) {
	const toolCalls = `{"id":"chatcmpl-7","object":"chat.completion","created":1,"model":"%","choices":[{"index":0,"message":{"role":"assistant","content":null,` +
		`"refusal":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],` +
		`"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":1}},"system_fingerprint":"fp"}`
	const two = `{"id":"chatcmpl-8","model":"%","choices":[{"index":0,"message":{"content":"a\u0000"},"logprobs":{"content":[{"token":"a","logprob":-0.10,"bytes":[97],` +
		`"top_logprobs":[]}],"refusal":null}},{"index":1,"message":{"content":"b"}}],"usage":null,"vendor":{"model":"vendor/model-1"}}`
	for _, tt := range []struct{ name, path, fields, answer string }{
		{
			"tools and their calls", "chat/completions",
			`"messages":[{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}}]},` +
				`{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},` +
				`{"role":"tool","tool_call_id":"c","content":"42"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"},"strict":true}}],` +
				`"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"store":true,"metadata":{"a":"b"}`,
			toolCalls,
		},
		{
			"sampling and formats", "chat/completions",
			`"messages":[{"role":"developer","content":"\ud83d\ude00 ü"}],"temperature":0.70,"top_p":1e-1,"n":2,"seed":9007199254740993,"logprobs":true,` +
				`"top_logprobs":2,"max_completion_tokens":5,"stop":["x"],"logit_bias":{"50256":-100},"response_format":{"type":"json_schema","json_schema":` +
				`{"name":"n","schema":{"type":"object","properties":{"model":{"type":"string"}}},"strict":true}},"service_tier":"priority","user":"u","guided_choice":["a","b"]`,
			two,
		},
		{"texts to embed", "embeddings", `"input":["a","b"],"dimensions":3,"encoding_format":"base64","input_type":"query"`, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"%","usage":{"prompt_tokens":2,"total_tokens":2}}`},
		{"a prompt", "completions", `"prompt":["a",[1,2]],"suffix":"z","echo":true,"best_of":3`, `{"id":"cmpl-1","model":"%","choices":[{"text":"b","index":0,"logprobs":null,"finish_reason":"length"}]}`},
	} {
		from := strings.Replace(tt.answer, "%", "vendor/model-1", 1)
		rest := tt.fields + `,"x_answer":` + from
		stream := ""
		if tt.path != "embeddings" {
			stream = `"stream":false,`
		}
		status, header, got := s.Send(t, http.MethodPost, "/v1/"+tt.path, []byte(`{`+stream+`"model":"org/puppet",`+rest+`}`))
		if want := strings.Replace(tt.answer, "%", "org/puppet", 1); status != http.StatusOK || string(got) != want {
			t.Errorf("%s: the client got %d\n%s\nwant\n%s", tt.name, status, got, want)
		}
		p.mu.Lock()
		if want := `{"model":"vendor/model-1",` + rest + `}`; string(p.body) != want || p.path != "/v1/"+tt.path {
			t.Errorf("%s: the upstream got at %s\n%s\nwant\n%s", tt.name, p.path, p.body, want)
		}
		if p.header.Get("Authorization") != "Bearer "+modelSecret || p.header.Get("Idempotency-Key") == "" || p.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: the upstream got the headers %v", tt.name, p.header)
		}
		p.mu.Unlock()
		steps := s.CallSteps(t, header)
		if len(steps) != 1 || steps[0].State != "done" || steps[0].Name != "org/puppet" || steps[0].Output != nil {
			t.Errorf("%s: the steps are %+v", tt.name, steps)
		}
	}
}

func ask(tb testing.TB, s *stack.Stack, path string, body stack.Fields) (int, http.Header, []byte) {
	tb.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		tb.Fatal(err)
	}
	return s.Send(tb, http.MethodPost, path, text)
}

// chat asks for a chat completion of the plan.
func chat(tb testing.TB, s *stack.Stack, model string, plan mock.Plan) (int, http.Header, []byte) {
	tb.Helper()
	return ask(tb, s, "/v1/chat/completions", stack.Fields{
		"model": model, "messages": []stack.Fields{{"role": "user", "content": plan.Prompt()}},
	})
}

// envelope is an error answer.
func envelope(tb testing.TB, text []byte) (e struct{ Message, Type, Param, Code string }) {
	tb.Helper()
	all := struct{ Error any }{&e}
	if err := json.Unmarshal(text, &all); err != nil || e.Message == "" {
		tb.Errorf("%s is no error: %v", text, err)
	}
	return e
}

func chats(t *testing.T, s *stack.Stack) {
	for name, plan := range map[string]mock.Plan{
		"text":                        {Seed: 9000, Tokens: 20, Reasoning: "let me think"},
		"calls of the client's tools": {Seed: 9001, Rounds: 1, Width: 2},
		"cut by length":               {Seed: 9002, FinishReason: "length"},
	} {
		status, header, text := chat(t, s, "mock", plan)
		var c struct {
			Model   string
			Choices []struct {
				Finish  string `json:"finish_reason"`
				Message struct {
					Content   string
					Reasoning string            `json:"reasoning_content"`
					Calls     []json.RawMessage `json:"tool_calls"`
				}
			}
		}
		if err := json.Unmarshal(text, &c); err != nil || status != http.StatusOK || len(c.Choices) != 1 || c.Model != "mock" {
			t.Fatalf("%s: answered %d %s", name, status, text)
		}
		first := c.Choices[0]
		if want := plan.Rounds * plan.Width; len(first.Message.Calls) != want || want == 0 && first.Message.Content != plan.Answer() || first.Message.Reasoning != plan.Reasoning {
			t.Errorf("%s: the message is %+v, want %d calls or %q", name, first.Message, want, plan.Answer())
		}
		entries := s.Calls("model", plan.Seed)
		steps := s.CallSteps(t, header)
		if len(entries) != 1 || len(steps) != 1 || steps[0].Usage.Input != int64(entries[0].PromptTokens) || steps[0].Usage.Output != int64(entries[0].CompletionTokens) {
			t.Errorf("%s: the mock saw %+v, the steps are %+v", name, entries, steps)
		}
	}
}

func embeddings(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9100, ModelFaults: []mock.Fault{{Status: 503, Times: 1}}}
	status, header, text := ask(t, s, "/v1/embeddings", stack.Fields{"model": "mock", "input": []string{"two words", plan.Prompt()}, "dimensions": 5})
	var e struct {
		Data []struct{ Embedding []float32 }
	}
	if err := json.Unmarshal(text, &e); err != nil || status != http.StatusOK || len(e.Data) != 2 {
		t.Fatalf("answered %d %s, want two vectors after one failure", status, text)
	}
	equal(t, "the first vector", mock.Vector("two words", 5), e.Data[0].Embedding)
	calls, steps := s.Calls("embedding", plan.Seed), s.CallSteps(t, header)
	if len(calls) != 2 || calls[0].IdempotencyKey != calls[1].IdempotencyKey || calls[0].IdempotencyKey == "" {
		t.Errorf("the mock saw %+v, want two attempts under one key", calls)
	}
	if len(steps) != 1 || steps[0].State != "done" || code(steps[0]) != "server_error" || steps[0].Usage.Input != int64(calls[1].PromptTokens) || steps[0].Usage.Output != 0 {
		t.Errorf("the steps are %+v", steps)
	}
}

func completions(t *testing.T, s *stack.Stack) {
	plan := mock.Plan{Seed: 9200}
	status, _, text := ask(t, s, "/v1/completions", stack.Fields{"model": "mock", "prompt": plan.Prompt()})
	var c struct{ Choices []struct{ Text string } }
	if err := json.Unmarshal(text, &c); err != nil || status != http.StatusOK || len(c.Choices) != 1 || c.Choices[0].Text != plan.Answer() {
		t.Errorf("answered %d %s, want %q", status, text, plan.Answer())
	}
}

func callFailures(t *testing.T, s *stack.Stack) {
	const always, twice = 0, 2
	const own = `{"error":{"message":"Too long.","type":"BadRequestError","param":"messages","code":"context_length_exceeded"}}`
	for i, tt := range []struct {
		name   string
		fault  mock.Fault
		status int
		code   string // of the error that the client gets, of the step's last failure otherwise
		calls  int    // attempts
		hidden bool   // the mock does not see them all
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
	plan = mock.Plan{Seed: 9401, ModelFaults: []mock.Fault{{Status: 429, RetryAfter: "7200"}}} // later than the deadline
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
			t.Errorf("HTTP %d: the credential is told: %s %s", status, text, steps)
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
