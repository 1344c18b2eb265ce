package behaviour

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/stack"
)

// capture is a proxy to the mock, the upstream of the model "capture". It keeps
// all requests.
type capture struct {
	server *httptest.Server
	proxy  *httputil.ReverseProxy

	mu     sync.Mutex
	bodies map[int64][][]byte // by the plan's seed
}

func newCapture(tb testing.TB) *capture {
	tb.Helper()
	transport := &http.Transport{}
	c := &capture{bodies: map[int64][][]byte{}, proxy: &httputil.ReverseProxy{Transport: transport}}
	c.server = httptest.NewServer(c)
	tb.Cleanup(transport.CloseIdleConnections)
	tb.Cleanup(c.server.Close)
	return c
}

func (c *capture) option(file *registry.File, mockURL string) {
	c.proxy.Rewrite = func(r *httputil.ProxyRequest) {
		target, err := url.Parse(mockURL)
		if err == nil {
			r.SetURL(target)
		}
	}
	m := file.Models[0]
	m.Name, m.Upstream = "capture", registry.Upstream{URL: c.server.URL + "/v1", Model: "vendor/model-1"}
	m.Upstream.Profile = registry.OpenAI // with this profile a request is sent as it is encoded
	file.Models = append(file.Models, m)
}

func (c *capture) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "unreadable", http.StatusBadRequest)
		return
	}
	var text struct{ Messages json.RawMessage }
	if json.Unmarshal(body, &text) == nil {
		if plan, ok := mock.ParsePlan(strings.ReplaceAll(string(text.Messages), `\"`, `"`)); ok {
			c.mu.Lock()
			c.bodies[plan.Seed] = append(c.bodies[plan.Seed], body)
			c.mu.Unlock()
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.proxy.ServeHTTP(w, r)
}

// body returns the request of round n, with PLAN for the plan's text, and the
// names of the tools as one more member.
func (c *capture) body(tb testing.TB, plan mock.Plan, n int) map[string]any {
	tb.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bodies[plan.Seed]) <= n {
		tb.Fatalf("the upstream was called %d times, want more than %d", len(c.bodies[plan.Seed]), n)
	}
	quoted, err := json.Marshal(plan.Prompt())
	if err != nil {
		tb.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(bytes.ReplaceAll(c.bodies[plan.Seed][n], quoted, []byte(`"PLAN"`)), &got); err != nil {
		tb.Fatal(err)
	}
	var names []any
	tools, _ := got["tools"].([]any)
	for _, tool := range tools {
		names = append(names, tool.(map[string]any)["function"].(map[string]any)["name"])
	}
	got["tool_names"] = names
	return got
}

// cases hold how a request becomes an upstream's. In the wanted members null
// means an absent member.
func (c *capture) cases(t *testing.T, s *stack.Stack) {
	const noTools = `"tools":null,`
	tests := []struct {
		name   string
		fields string // PLAN stands for the plan's text
		want   string // of the first call
		then   string // of the second call, if it matters
	}{
		{
			"nothing special", noTools + `"metadata":{"a":"1"}`,
			`"model":"vendor/model-1","messages":[{"role":"user","content":"PLAN"}],"tools":null,"tool_choice":null,
			 "parallel_tool_calls":null,"temperature":null,"max_completion_tokens":null,"response_format":null,"stream":null`, "",
		},
		{
			"instructions and roles", `"instructions":"Be brief.","input":[{"role":"developer","content":"Be kind."},
			 {"role":"system","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":"b"}]},{"role":"user","content":"PLAN"}]`,
			`"messages":[{"role":"system","content":"Be brief."},{"role":"developer","content":"Be kind."},
			 {"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"PLAN"}]`, "",
		},
		{
			"an earlier turn", `"input":[{"role":"user","content":"hi"},{"type":"reasoning","summary":[]},
			 {"type":"message","role":"assistant","content":[{"type":"output_text","text":"hello"}]},
			 {"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},{"type":"function_call","call_id":"c2","name":"g","arguments":"oops"},
			 {"type":"function_call_output","call_id":"c1","output":"42"},
			 {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"4"},{"type":"input_text","text":"3"}]},
			 {"role":"user","content":"PLAN"}]`,
			`"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello","tool_calls":[
			 {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
			 {"id":"c2","type":"function","function":{"name":"g","arguments":"{\"_invalid_arguments\":\"oops\"}"}}]},
			 {"role":"tool","tool_call_id":"c1","content":"42"},{"role":"tool","tool_call_id":"c2","content":"43"},{"role":"user","content":"PLAN"}]`, "",
		},
		{
			"images", `"input":[{"role":"user","content":[{"type":"input_text","text":"PLAN"},
			 {"type":"input_image","image_url":"data:image/png;base64,AA==","detail":"low"},{"type":"input_image","image_url":"https://x.test/a.png"}]}]`,
			`"messages":[{"role":"user","content":[{"type":"text","text":"PLAN"},
			 {"type":"image_url","image_url":{"url":"data:image/png;base64,AA==","detail":"low"}},{"type":"image_url","image_url":{"url":"https://x.test/a.png"}}]}]`, "",
		},
		{
			"files", `"input":[{"role":"user","content":[{"type":"input_text","text":"PLAN"},
			 {"type":"input_file","file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"},{"type":"input_file","file_id":"file-1"}]}]`,
			`"messages":[{"role":"user","content":[{"type":"text","text":"PLAN"},
			 {"type":"file","file":{"file_data":"data:application/pdf;base64,AA==","filename":"a.pdf"}},{"type":"file","file":{"file_id":"file-1"}}]}]`, "",
		},
		{
			"sampling", `"temperature":0,"top_p":0.5,"presence_penalty":1,"frequency_penalty":-1,"top_logprobs":2,"user":"u","safety_identifier":"s","prompt_cache_key":"k"`,
			`"temperature":0,"top_p":0.5,"presence_penalty":1,"frequency_penalty":-1,"top_logprobs":2,"logprobs":true,"user":"u","safety_identifier":"s","prompt_cache_key":"k"`, "",
		},
		{"logprobs", `"include":["message.output_text.logprobs"]`, `"logprobs":true,"top_logprobs":null`, ""},
		{"logprobs of others, too", `"include":["message.output_text.logprobs"],"top_logprobs":3`, `"logprobs":true,"top_logprobs":3`, ""},
		{"what is left of max_output_tokens", `"max_output_tokens":100`, `"max_completion_tokens":100`, `"max_completion_tokens":98`},
		{"reasoning and verbosity", `"reasoning":{"effort":"high"},"text":{"verbosity":"low"}`, `"reasoning_effort":"high","verbosity":"low","response_format":null`, ""},
		{
			"a JSON schema", `"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true}}`,
			`"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true}}`, "",
		},
		{"any JSON", `"instructions":"Answer in JSON.","text":{"format":{"type":"json_object"}}`, `"response_format":{"type":"json_object"}`, ""},
		{"plain text", `"text":{"format":{"type":"text"}}`, `"response_format":null`, ""},
		{"registered tools", `"parallel_tool_calls":false`, `"tool_names":["mock_echo","mock_idempotent","mock_once"],"parallel_tool_calls":false,"tool_choice":null`, ""},
		{
			"a function", `"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":false}]`,
			`"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}},"strict":false}}]`, "",
		},
		{"no tool may be called", `"tool_choice":"none"`, `"tool_choice":"none"`, `"tool_choice":"none"`},
		{"some tool is to be called, once", `"tool_choice":"required"`, `"tool_choice":"required"`, `"tool_choice":"auto"`},
		{
			"one tool is to be called, once", `"tool_choice":{"type":"mcp","server_label":"windlass","name":"mock_once"}`,
			`"tool_choice":{"type":"function","function":{"name":"mock_once"}}`, `"tool_choice":"auto","tool_names":["mock_echo","mock_idempotent","mock_once"]`,
		},
		{
			"a function is to be called", `"tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"function","name":"f"}`,
			`"tool_choice":{"type":"function","function":{"name":"f"}},"tool_names":["f"]`, "",
		},
		{
			"only what is allowed is offered", `"tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"mcp","server_label":"windlass","name":"mock_echo"}]}`,
			`"tool_choice":"required","tool_names":["mock_echo"]`, `"tool_choice":"auto","tool_names":["mock_echo"]`,
		},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plan := mock.Plan{Seed: int64(8000 + i), Rounds: 1, Width: 2}
			quoted, err := json.Marshal(plan.Prompt())
			if err != nil {
				t.Fatal(err)
			}
			fields := stack.Fields{"model": "capture"}
			if err := json.Unmarshal([]byte(`{`+strings.ReplaceAll(tt.fields, `"PLAN"`, string(quoted))+`}`), &fields); err != nil {
				t.Fatal(err)
			}
			r := s.Ask(t, plan, fields)
			ended(t, r, "completed", "")
			for n, want := range []string{tt.want, tt.then} {
				var members map[string]any
				if want == "" {
					continue
				}
				if err := json.Unmarshal([]byte(`{`+want+`}`), &members); err != nil {
					t.Fatal(err)
				}
				got := c.body(t, plan, n)
				for name, value := range members {
					equal(t, name+" of call "+string(rune('1'+n)), value, got[name])
				}
			}
			metadata, _ := fields["metadata"].(map[string]any)
			if len(r.Metadata) != len(metadata) || metadata != nil && r.Metadata["a"] != metadata["a"] {
				t.Errorf("metadata is %v, want %v", r.Metadata, metadata)
			}
		})
	}
}
