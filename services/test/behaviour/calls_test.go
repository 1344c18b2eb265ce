package behaviour

import (
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

// puppet is an upstream that answers with the request's member x_answer and
// keeps the last request.
type puppet struct {
	mu     sync.Mutex
	body   []byte
	path   string
	header http.Header
}

func (p *puppet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request struct {
		Answer json.RawMessage `json:"x_answer"`
	}
	if err != nil || json.Unmarshal(body, &request) != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	p.body, p.path, p.header = body, r.URL.Path, r.Header.Clone()
	p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(request.Answer)
}

// TestCalls runs the cases of the endpoints that are one model call.
func TestCalls(t *testing.T) {
	t.Parallel()
	p := &puppet{}
	upstream := httptest.NewServer(p)
	t.Cleanup(upstream.Close)
	s := stack.Start(t, models(t), func(file *registry.File, _ string) {
		m := file.Models[1] // the model with a credential
		m.Name, m.Lane = "org/puppet", ""
		m.Upstream.URL, m.Upstream.Model = upstream.URL+"/v1", "vendor/model-1"
		file.Models = append(file.Models, m)
		patient := file.Models[0] // its calls are not repeated on a busy machine
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

// passed compares bytes: requests and answers pass unchanged, except the
// model's name and stream.
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

// chat requests a chat completion of the plan.
func chat(tb testing.TB, s *stack.Stack, model string, plan mock.Plan) (int, http.Header, []byte) {
	tb.Helper()
	return ask(tb, s, "/v1/chat/completions", stack.Fields{
		"model": model, "messages": []stack.Fields{{"role": "user", "content": plan.Prompt()}},
	})
}

// envelope decodes an error answer.
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
