package behaviour

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/test/stack"
)

// fussy is an upstream with a rule for each of its models.
type fussy struct {
	rules map[string]func(body string) (status int, answer string) // status 0: accepted

	mu   sync.Mutex
	seen map[string][]*seen // by model
}

// seen is a request to the upstream.
type seen struct {
	*http.Request
	body string
}

func (f *fussy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var body struct {
		Model  string
		Stream bool
	}
	if err != nil || json.Unmarshal(b, &body) != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	f.mu.Lock()
	f.seen[body.Model] = append(f.seen[body.Model], &seen{r, string(b)})
	f.mu.Unlock()
	if rule := f.rules[body.Model]; rule != nil {
		if status, answer := rule(string(b)); status != 0 {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, answer)
			return
		}
	}
	switch {
	case strings.HasSuffix(r.URL.Path, "/responses"):
		_, _ = io.WriteString(w, `{"id":"r","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}]}`)
	case body.Stream:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"ok"}}]}`+"\n\n"+`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
	default:
		_, _ = io.WriteString(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"ok"},"finish_reason":"stop"}]}`)
	}
}

// of returns the requests for a model since the last call of it.
func (f *fussy) of(model string) []*seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.seen[model]
	f.seen[model] = nil
	return all
}

// refuses returns a rule that refuses a body with this text.
func refuses(text string, status int, answer string) func(string) (int, string) {
	return func(body string) (int, string) {
		if strings.Contains(body, text) {
			return status, answer
		}
		return 0, ""
	}
}

func startFussy(t *testing.T, f *fussy, settings map[string]registry.Upstream) *stack.Stack {
	t.Helper()
	f.seen = map[string][]*seen{}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return stack.Start(t, func(file *registry.File, _ string) {
		for name, u := range settings {
			m := file.Models[0]
			m.Name, m.Lane, m.Attempts = name, "", 1
			u.URL = server.URL + u.URL
			m.Upstream = u
			file.Models = append(file.Models, m)
		}
	})
}

// sendTo sends a request and returns its status, and the attempts of the
// model's step.
func sendTo(t *testing.T, s *stack.Stack, path, body string) (status int, answer string, attempts int) {
	t.Helper()
	status, header, text := s.Send(t, http.MethodPost, "/v1"+path, []byte(body))
	switch {
	case path != "/responses":
		for _, st := range s.CallSteps(t, header) {
			attempts = max(attempts, st.Attempt)
		}
	case strings.Contains(body, `"stream":true`):
		r := stack.Streamed(t, text)
		return status, r.Status + " " + r.Text(), s.Steps(t, r.ID)[0].Attempt
	default:
		var r stack.Response
		if json.Unmarshal(text, &r) == nil && r.ID != "" {
			return status, r.Status + " " + r.Text(), s.Steps(t, r.ID)[0].Attempt
		}
	}
	return status, string(text), attempts
}

// TestFussyUpstreams holds that a request that an upstream refuses for its form
// is sent again at once in another form, within one attempt, and that the next
// request has that form from the start.
func TestFussyUpstreams(t *testing.T) {
	t.Parallel()
	const fastAPI = `{"detail":[{"type":"extra_forbidden","loc":["body","%"],"msg":"Extra inputs are not permitted"}]}`
	extra := func(name string) string { return strings.Replace(fastAPI, "%", name, 1) }
	const developer = `"input":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"developer","content":"Use French."},{"role":"user","content":"c"}]`
	several := func(body string) (int, string) {
		for _, name := range []string{"stream_options", "user", "safety_identifier", "prompt_cache_key"} {
			if strings.Contains(body, `"`+name+`":`) {
				return 400, `{"error":{"message":"Unrecognized request argument supplied: ` + name + `","type":"invalid_request_error","param":null,"code":null}}`
			}
		}
		return 0, ""
	}
	tests := []struct {
		name, dialect, path, fields string
		rule                        func(string) (int, string)
		first                       int // calls of the first request
		has, hasNot                 string
	}{
		{"stream-options", "", "/responses", `"input":"hi","stream":true`, refuses("stream_options", 422, extra("stream_options")), 2, `"stream":true`, "stream_options"},
		{"streamed-chat", "", "/chat/completions", `"messages":[{"role":"user","content":"hi"}],"stream":true`, refuses("stream_options", 422, extra("stream_options")), 2, `"stream":true`, "stream_options"},
		{"new-bound", "", "/responses", `"input":"hi","max_output_tokens":100`, refuses(`"max_tokens"`, 400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","param":"max_tokens","code":"unsupported_parameter"}}`), 2, `"max_completion_tokens":100`, `"max_tokens"`},
		{"old-bound-in-chat", "", "/chat/completions", `"messages":[{"role":"user","content":"hi"}],"max_completion_tokens":100`, refuses(`"max_completion_tokens"`, 422, extra("max_completion_tokens")), 2, `"max_tokens":100`, `"max_completion_tokens"`},
		{"role-in-chat", "", "/chat/completions", `"messages":[{"role":"developer","content":"a"},{"role":"user","content":"hi"}]`, refuses(`"developer"`, 400, `{"error":{"message":"Unexpected message role."}}`), 2, `{"role":"system","content":"a"}`, `"developer"`},
		{"one-system", "", "/responses", developer + `,"instructions":"Be brief."`, func(body string) (int, string) {
			return map[bool]int{true: 500}[strings.Count(body, `"system"`) > 1], `{"error":{"code":500,"message":"System message must be at the beginning.","type":"server_error"}}`
		}, 2, `[{"role":"system","content":"Be brief.\n\nUse French."},{"role":"user"`, `"developer"`},
		{"no-system", "", "/responses", developer, refuses(`"system"`, 500, `{"error":{"message":"System role not supported"}}`), 2, `{"role":"user","content":"Use French.\n\na"}`, `"system"`},
		{"several", "", "/responses", `"input":"hi","stream":true,"user":"u","safety_identifier":"s","prompt_cache_key":"k"`, several, 5, `"stream":true`, `"user":`},
		{"an-error-with-200", "", "/responses", `"input":"hi","user":"u"`, refuses(`"user":`, 200, `{"error":{"message":"Unknown parameter: 'user'.","type":"invalid_request_error","param":"user","code":"unknown_parameter"}}`), 2, `"model"`, `"user":`},
		{"vendor/native", registry.Responses, "/responses", developer, refuses(`"developer"`, 422, "messages[1].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`"), 2, `"system"`, `"developer"`},
		{"native-store", registry.Responses, "/responses", `"input":"hi"`, refuses(`"store"`, 400, `{"error":{"message":"Unknown parameter: 'store'.","param":"store","code":"unknown_parameter"}}`), 2, `"include"`, `"store"`},
	}
	f := &fussy{rules: map[string]func(string) (int, string){}}
	settings := map[string]registry.Upstream{}
	for _, tt := range tests {
		settings[tt.name] = registry.Upstream{Dialect: tt.dialect}
		f.rules[tt.name] = tt.rule
	}
	s := startFussy(t, f, settings)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := `{"model":"` + tt.name + `",` + tt.fields + `}`
			for n, calls := range []int{tt.first, 1} {
				status, answer, attempts := sendTo(t, s, tt.path, body)
				if status != http.StatusOK || !strings.Contains(answer, "ok") || attempts != 1 {
					t.Errorf("request %d: %d after %d attempts: %s", n, status, attempts, answer)
				}
				got := f.of(tt.name)
				if len(got) != calls {
					t.Fatalf("request %d: %d calls, want %d", n, len(got), calls)
				}
				last := got[len(got)-1]
				if !strings.Contains(last.body, tt.has) || strings.Contains(last.body, tt.hasNot) {
					t.Errorf("request %d was accepted as\n%s\nwant %s and not %s", n, last.body, tt.has, tt.hasNot)
				}
				if calls > 1 && got[0].Header.Get("Idempotency-Key") == last.Header.Get("Idempotency-Key") {
					t.Error("two bodies have one idempotency key")
				}
			}
		})
	}
}

// TestRefusalsThatStand holds that nothing is removed that the client asked
// for. The refusal is answered with the upstream's text, after one call.
func TestRefusalsThatStand(t *testing.T) {
	t.Parallel()
	unknown := func(name string) string {
		return `{"error":{"message":"Unknown parameter: '` + name + `'.","type":"invalid_request_error","param":"` + name + `","code":"unknown_parameter"}}`
	}
	tests := []struct {
		name, path, fields, parameter string
		calls                         int
	}{
		{"temperature", "/responses", `"input":"hi","temperature":0.5`, "temperature", 1},
		{"effort", "/responses", `"input":"hi","reasoning":{"effort":"low"}`, "reasoning_effort", 1},
		{"format", "/responses", `"input":"hi","text":{"format":{"type":"json_object"}},"instructions":"JSON"`, "response_format", 1},
		{"tools", "/responses", `"input":"hi","tools":[{"type":"function","name":"f"}]`, "tools", 1},
		{"one-by-one", "/responses", `"input":"hi","tools":[{"type":"function","name":"f"}],"parallel_tool_calls":false`, "parallel_tool_calls", 1},
		{"a-clients-user", "/chat/completions", `"messages":[{"role":"user","content":"hi"}],"user":"u"`, `user`, 1},
		{"a-clients-options", "/chat/completions", `"messages":[{"role":"user","content":"hi"}],"stream":true,"stream_options":{"include_usage":true}`, "stream_options", 1},
		{"both-bounds", "/responses", `"input":"hi","max_output_tokens":100`, "max", 2},
	}
	f := &fussy{rules: map[string]func(string) (int, string){}}
	settings := map[string]registry.Upstream{}
	for _, tt := range tests {
		settings[tt.name] = registry.Upstream{}
		f.rules[tt.name] = refuses(`"`+tt.parameter, 400, unknown(tt.parameter))
	}
	f.rules["both-bounds"] = func(body string) (int, string) {
		if strings.Contains(body, `"max_tokens"`) {
			return 400, unknown("max_tokens")
		}
		return 400, unknown("max_completion_tokens")
	}
	s := startFussy(t, f, settings)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2 { // the second request is refused alike
				status, _, text := s.Send(t, http.MethodPost, "/v1"+tt.path, []byte(`{"model":"`+tt.name+`",`+tt.fields+`}`))
				if !strings.Contains(string(text), "Unknown parameter: '"+tt.parameter) || tt.path != "/responses" && status != http.StatusBadRequest {
					t.Errorf("the client got %d: %s", status, text)
				}
				if got := f.of(tt.name); len(got) != tt.calls {
					t.Errorf("%d calls, want %d", len(got), tt.calls)
				}
			}
		})
	}
}
