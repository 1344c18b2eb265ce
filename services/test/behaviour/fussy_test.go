package behaviour

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/test/stack"
)

// fussy is an upstream with a rule for each of its models.
type fussy struct {
	rules map[string]func(body string) (status int, answer string) // status 0: nothing to find fault with

	mu   sync.Mutex
	seen map[string][]*seen // by model
}

// seen is a request that the upstream got.
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

// of are the requests for a model since the last time.
func (f *fussy) of(model string) []*seen {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.seen[model]
	f.seen[model] = nil
	return all
}

// refuses makes a rule: a body with that text is answered so.
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

// sendTo sends a request and returns its status, and the attempts of the model's step.
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

// TestFussyUpstreams: a request that an upstream refuses for its form is sent again at once in another form, within one attempt,
// and the next request has that form from the beginning.
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

// TestRefusalsThatStand: what a client asked for is not left out. The refusal is answered in the upstream's words, after one call.
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
			for range 2 { // nothing is learnt
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

// TestUpstreamSettings: settings reach the upstream from the first request on, for each kind of body.
func TestUpstreamSettings(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k3y"), 0o600); err != nil {
		t.Fatal(err)
	}
	secret := registry.Credential{File: key}
	const chat = `"messages":[{"role":"developer","content":"a"},{"role":"user","content":"hi"}],"max_completion_tokens":5`
	const response = `"input":[{"role":"developer","content":"a"},{"role":"user","content":"hi"}],"max_output_tokens":16`
	extra := registry.Settings{
		Headers: map[string]string{"X-Team": "a b"}, Body: registry.Members(`{"top_k":5,"temperature":0.25}`), IdempotencyKey: registry.Off,
	}
	tests := []struct {
		name         string
		u            registry.Upstream
		path, fields string
		query        string
		headers      map[string]string
		has          []string
		hasNot       string
	}{
		{
			"azure",
			registry.Upstream{URL: "/openai/deployments/d", Credential: secret, Settings: registry.Settings{Profile: "azure"}},
			"/responses", response, "api-version=2024-10-21",
			map[string]string{"Api-Key": "k3y", "Authorization": ""},
			[]string{`"developer"`, `"max_completion_tokens":16`},
			`"max_tokens"`,
		},
		{
			"azure-chat",
			registry.Upstream{URL: "/openai/deployments/d/?api-version=1", Credential: secret, Settings: registry.Settings{Profile: "azure", APIVersion: "2"}},
			"/chat/completions", chat, "api-version=2",
			map[string]string{"Api-Key": "k3y", "Authorization": ""},
			[]string{`"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"azure-v1",
			registry.Upstream{URL: "/openai/v1", Credential: secret, Settings: registry.Settings{Profile: "azure", KeyHeader: "authorization"}},
			"/responses", response, "",
			map[string]string{"Api-Key": "", "Authorization": "Bearer k3y"},
			[]string{`"developer"`},
			`"max_tokens"`,
		},
		{
			"extra",
			registry.Upstream{Settings: extra},
			"/responses", response, "",
			map[string]string{"X-Team": "a b", "Idempotency-Key": ""},
			[]string{`"top_k":5`, `"temperature":0.25`, `"max_tokens":16`, `"system"`},
			`"developer"`,
		},
		{
			"extra-given",
			registry.Upstream{Settings: extra},
			"/responses", response + `,"temperature":1`, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"temperature":1`},
			`0.25`,
		},
		{
			"extra-chat",
			registry.Upstream{Settings: extra},
			"/chat/completions", chat, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"extra-native",
			registry.Upstream{Dialect: registry.Responses, Settings: extra},
			"/responses", response, "",
			map[string]string{"X-Team": "a b"},
			[]string{`"top_k":5`, `"developer"`, `"max_output_tokens":16`},
			`"max_tokens"`,
		},
		{
			"native-merged",
			registry.Upstream{Dialect: registry.Responses, Settings: registry.Settings{DeveloperRole: "merge"}},
			"/responses", response, "",
			nil,
			[]string{`"instructions":"a"`},
			`"developer"`,
		},
		{
			"org/vllm",
			registry.Upstream{Settings: registry.Settings{Profile: "vllm"}},
			"/chat/completions", chat, "",
			nil,
			[]string{`[{"role":"system","content":"a"},`, `"max_tokens":5`},
			`"max_completion_tokens"`,
		},
		{
			"compatible",
			registry.Upstream{},
			"/chat/completions", chat, "",
			nil,
			[]string{`"developer"`, `"max_completion_tokens":5`},
			`"max_tokens"`,
		},
		{
			"mistral",
			registry.Upstream{Settings: registry.Settings{Profile: "mistral"}},
			"/responses", `"stream":true,` + response, "",
			nil,
			[]string{`"max_tokens":16`, `"stream":true`},
			`"stream_options"`,
		},
		{
			"mistral-chat",
			registry.Upstream{Settings: registry.Settings{Profile: "mistral"}},
			"/chat/completions", `"stream":true,` + chat, "",
			nil,
			[]string{`"max_tokens":5`, `"system"`},
			`"stream_options"`,
		},
	}
	f := &fussy{}
	settings := map[string]registry.Upstream{"*": {Settings: registry.Settings{Profile: "openai"}}}
	for _, tt := range tests {
		settings[tt.name] = tt.u
	}
	s := startFussy(t, f, settings)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if status, answer, _ := sendTo(t, s, tt.path, `{"model":"`+tt.name+`",`+tt.fields+`}`); status != http.StatusOK || !strings.Contains(answer, "ok") {
				t.Fatalf("answered %d: %s", status, answer)
			}
			got := f.of(tt.name)[0]
			if got.URL.RawQuery != tt.query {
				t.Errorf("the query is %q, want %q", got.URL.RawQuery, tt.query)
			}
			for name, want := range tt.headers {
				if got.Header.Get(name) != want {
					t.Errorf("the header %s is %q, want %q", name, got.Header.Get(name), want)
				}
			}
			for _, text := range tt.has {
				if !strings.Contains(got.body, text) {
					t.Errorf("%s\nwants %s", got.body, text)
				}
			}
			if strings.Contains(got.body, tt.hasNot) && tt.hasNot != "" {
				t.Errorf("%s\nhas %s", got.body, tt.hasNot)
			}
		})
	}
	t.Run("any name", func(t *testing.T) {
		t.Parallel()
		if status, answer, _ := sendTo(t, s, "/responses", `{"model":"some/thing/else",`+response+`}`); status != http.StatusOK {
			t.Fatalf("answered %d: %s", status, answer)
		}
		if got := f.of("some/thing/else")[0].body; !strings.Contains(got, `"developer"`) || !strings.Contains(got, `"max_completion_tokens":16`) {
			t.Errorf("the settings of the wildcard are not those of the name: %s", got)
		}
	})
}

// TestStreamsOff: an upstream that is asked for whole answers only serves
// clients that want streams.
func TestStreamsOff(t *testing.T) {
	t.Parallel()
	off := registry.Settings{Stream: registry.Off}
	f := &fussy{rules: map[string]func(string) (int, string){}}
	s := startFussy(t, f, map[string]registry.Upstream{
		"whole": {Settings: off}, "whole-native": {Dialect: registry.Responses, Settings: off},
	})
	for _, tt := range []struct{ model, path, fields, last string }{
		{"whole", "/responses", `"input":"hi"`, `"type":"response.completed"`},
		{"whole", "/chat/completions", `"messages":[{"role":"user","content":"hi"}]`, "data: [DONE]"},
		{"whole-native", "/responses", `"input":"hi"`, `"type":"response.completed"`},
	} {
		status, _, text := s.Send(t, http.MethodPost, "/v1"+tt.path, []byte(`{"model":"`+tt.model+`","stream":true,`+tt.fields+`}`))
		if status != http.StatusOK || !strings.Contains(string(text), `"ok"`) || !strings.Contains(string(text), tt.last) {
			t.Errorf("%s of %s: %d %s", tt.path, tt.model, status, text)
		}
		if got := f.of(tt.model); len(got) != 1 || strings.Contains(got[0].body, `"stream`) {
			t.Errorf("%s of %s: the upstream got %d requests, the first of them %s, want one without stream", tt.path, tt.model, len(got), got[0].body)
		}
	}
}
