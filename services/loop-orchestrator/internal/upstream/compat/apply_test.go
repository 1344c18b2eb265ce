package compat

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/registry"
)

func TestApply(t *testing.T) {
	t.Parallel()
	const calls = `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","index":0,"function":{"name":"f","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"call_1","content":"42"},{"role":"tool","tool_call_id":"abcdefgh9","content":"42"}]}`
	const roles = `{"messages":[{"role":"system","content":"Be <brief>."},{"role":"user","content":"hi"},{"role":"developer","content":[{"type":"text","text":"Be"},{"type":"text","text":"kind."}]},{"role":"assistant","content":"yes"}]}`
	const input = `{"instructions":"A.","input":[{"type":"message","role":"developer","content":[{"type":"input_text","text":"B."}]},{"type":"message","role":"user","content":"hi"}]}`
	for name, tt := range map[string]struct {
		path, body string
		changes    []Change
		want       string
	}{
		"nothing":                    {chatPath, ` { "a" : 1 } `, nil, ` { "a" : 1 } `},
		"nothing to change":          {chatPath, ` { "a" : 1.50 } `, []Change{{Omit, "b"}, {Bound, "max_tokens"}, {Role, "merge"}, {EmptyText, ""}}, ` { "a" : 1.50 } `},
		"a member":                   {chatPath, `{"a": 1.50,"b":"<\u00fc>","c":2,"b":3}`, changed(Omit, "c"), `{"a":1.50,"b":"<\u00fc>","b":3}`},
		"a member that comes twice":  {chatPath, `{"b":1,"a":1,"b":3}`, changed(Omit, "b"), `{"a":1}`},
		"a member of a member":       {responsesPath, `{"text":{"verbosity":"low","format":{"type":"text"}}}`, changed(Omit, "text.verbosity"), `{"text":{"format":{"type":"text"}}}`},
		"the only one":               {responsesPath, `{"a":1,"text":{"verbosity":"low"}}`, changed(Omit, "text.verbosity"), `{"a":1}`},
		"no object":                  {chatPath, `["b"]`, changed(Omit, "b"), `["b"]`},
		"a bound":                    {chatPath, `{"max_completion_tokens":5,"a":1}`, changed(Bound, "max_tokens"), `{"max_tokens":5,"a":1}`},
		"a bound back":               {chatPath, `{"a":1,"max_tokens":5}`, changed(Bound, "max_completion_tokens"), `{"a":1,"max_completion_tokens":5}`},
		"a bound beside null":        {chatPath, `{"max_tokens":null,"max_completion_tokens":5}`, changed(Bound, "max_tokens"), `{"max_tokens":5}`},
		"two equal bounds":           {chatPath, `{"max_tokens":5,"max_completion_tokens":5}`, changed(Bound, "max_tokens"), `{"max_tokens":5}`},
		"two bounds":                 {chatPath, `{"max_tokens":4,"max_completion_tokens":5}`, changed(Bound, "max_tokens"), `{"max_tokens":4,"max_completion_tokens":5}`},
		"the later of two":           {chatPath, `{"max_tokens":5}`, []Change{{Bound, "max_tokens"}, {Bound, "max_completion_tokens"}}, `{"max_completion_tokens":5}`},
		"strict":                     {chatPath, `{"tools":[{"type":"function","function":{"name":"f","strict":true}}]}`, changed(OmitInTools, "strict"), `{"tools":[{"type":"function","function":{"name":"f"}}]}`},
		"strict of a response":       {responsesPath, `{"tools":[{"type":"function","name":"f","strict":false}]}`, changed(OmitInTools, "strict"), `{"tools":[{"type":"function","name":"f"}]}`},
		"strict of a format":         {chatPath, `{"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{"strict":1}}}}`, changed(OmitInFormat, "strict"), `{"response_format":{"type":"json_schema","json_schema":{"schema":{"strict":1}}}}`},
		"strict of a response's":     {responsesPath, `{"text":{"format":{"type":"json_schema","strict":true}}}`, changed(OmitInFormat, "strict"), `{"text":{"format":{"type":"json_schema"}}}`},
		"no tools":                   {chatPath, `{"tools":[],"strict":1}`, changed(OmitInTools, "strict"), `{"tools":[],"strict":1}`},
		"sealed":                     {responsesPath, `{"include":["reasoning.encrypted_content","b"]}`, changed(OmitSealed, ""), `{"include":["b"]}`},
		"sealed alone":               {responsesPath, `{"a":1,"include":["reasoning.encrypted_content"]}`, changed(OmitSealed, ""), `{"a":1}`},
		"empty content":              {chatPath, calls, changed(EmptyText, ""), `{"messages":[{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","index":0,"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"42"},{"role":"tool","tool_call_id":"abcdefgh9","content":"42"}]}`},
		"absent content":             {chatPath, `{"messages":[{"role":"assistant","tool_calls":[{"id":"a"}]}]}`, changed(EmptyText, ""), `{"messages":[{"role":"assistant","tool_calls":[{"id":"a"}],"content":""}]}`},
		"ids":                        {chatPath, calls, changed(NineIDs, ""), `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"SpNJKeyju","type":"function","index":0,"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"SpNJKeyju","content":"42"},{"role":"tool","tool_call_id":"abcdefgh9","content":"42"}]}`},
		"names of results":           {chatPath, calls, changed(ToolNames, ""), `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","index":0,"function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"42","name":"f"},{"role":"tool","tool_call_id":"abcdefgh9","content":"42"}]}`},
		"a member of calls":          {chatPath, calls, changed(OmitInCalls, "index"), `{"messages":[{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"42"},{"role":"tool","tool_call_id":"abcdefgh9","content":"42"}]}`},
		"a member of messages":       {chatPath, `{"messages":[{"role":"assistant","reasoning":"hm","content":"a"},{"role":"user","content":"b"}]}`, changed(OmitInItems, "reasoning"), `{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}`},
		"developers as the system":   {chatPath, roles, changed(Role, "system"), `{"messages":[{"role":"system","content":"Be <brief>."},{"role":"user","content":"hi"},{"role":"system","content":[{"type":"text","text":"Be"},{"type":"text","text":"kind."}]},{"role":"assistant","content":"yes"}]}`},
		"merged":                     {chatPath, roles, changed(Role, "merge"), `{"messages":[{"role":"system","content":"Be <brief>.\n\nBe\nkind."},{"role":"user","content":"hi"},{"role":"assistant","content":"yes"}]}`},
		"as the user":                {chatPath, roles, changed(Role, "user"), `{"messages":[{"role":"user","content":"Be <brief>.\n\nBe\nkind.\n\nhi"},{"role":"assistant","content":"yes"}]}`},
		"as the user with images":    {chatPath, `{"messages":[{"role":"system","content":"A."},{"role":"user","content":[{"type":"image_url"}]}]}`, changed(Role, "user"), `{"messages":[{"role":"user","content":[{"type":"text","text":"A."},{"type":"image_url"}]}]}`},
		"as the user without a user": {chatPath, `{"messages":[{"role":"system","content":"A."},{"role":"assistant","content":"b"}]}`, changed(Role, "user"), `{"messages":[{"role":"user","content":"A."},{"role":"assistant","content":"b"}]}`},
		"what cannot be merged":      {chatPath, `{"messages":[{"role":"user","content":"a"},{"role":"developer","content":[{"type":"image_url"}]}]}`, changed(Role, "merge"), `{"messages":[{"role":"user","content":"a"},{"role":"system","content":[{"type":"image_url"}]}]}`},
		"a response's developers":    {responsesPath, input, changed(Role, "system"), `{"instructions":"A.","input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"B."}]},{"type":"message","role":"user","content":"hi"}]}`},
		"a response's, merged":       {responsesPath, input, changed(Role, "merge"), `{"instructions":"A.\n\nB.","input":[{"type":"message","role":"user","content":"hi"}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Request{Path: tt.path, Body: []byte(tt.body)}
			got := string(Apply(r, nil, tt.changes))
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if again := string(Apply(Request{Path: tt.path, Body: []byte(got)}, nil, tt.changes)); again != got && name != "merged" {
				t.Errorf("a second time\n%s\nwant\n%s", again, got)
			}
			if string(r.Body) != tt.body {
				t.Error("the body was written to")
			}
		})
	}
}

func TestExtraMembers(t *testing.T) {
	t.Parallel()
	extra := registry.Members(`{"temperature":0.2,"options":{"num_ctx":8192}}`)
	for _, tt := range []struct{ path, body, want string }{
		{chatPath, `{"model":"m"}`, `{"model":"m","temperature":0.2,"options":{"num_ctx":8192}}`},
		{chatPath, `{"temperature":1,"model":"m"}`, `{"temperature":1,"model":"m","options":{"num_ctx":8192}}`},
		{responsesPath, `{}`, `{"temperature":0.2,"options":{"num_ctx":8192}}`},
		{"/responses/input_tokens", `{}`, `{}`},
		{"/embeddings", `{}`, `{}`},
		{textPath, `{}`, `{}`},
	} {
		if got := string(Apply(Request{Path: tt.path, Body: []byte(tt.body)}, extra, nil)); got != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.path, tt.body, got, tt.want)
		}
	}
}

// Each setting and each profile makes its changes.
func TestSettings(t *testing.T) {
	t.Parallel()
	const body = `{"messages":[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"},` +
		`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","function":{"name":"f"}}]},{"role":"tool","tool_call_id":"call_1","content":"d"}],` +
		`"tools":[{"function":{"name":"f","strict":true}}],"parallel_tool_calls":true,"max_completion_tokens":5,"stream_options":{"include_usage":true}}`
	own := func(string) bool { return true }
	at := func(url string, s registry.Settings) registry.Upstream {
		return registry.Upstream{URL: url, Settings: s}
	}
	apply := func(u registry.Upstream, given func(string) bool) string {
		r := Request{Path: chatPath, Body: []byte(body), IsClients: given}
		return string(Apply(r, nil, Settings(u, r)))
	}
	has := func(t *testing.T, got string, want ...string) {
		t.Helper()
		for _, text := range want {
			if !strings.Contains(got, text) {
				t.Errorf("%s\nwants %s", got, text)
			}
		}
	}
	unknown := at("http://h/v1", registry.Settings{})
	has(t, apply(unknown, nil), `"max_tokens":5`, `{"role":"system","content":"b"}`, `"stream_options":`, `"strict":true`, `"parallel_tool_calls":true`, `"content":null`, `"id":"call_1"`)
	if got := apply(unknown, own); got != body {
		t.Errorf("a client's body for an unknown server became\n%s", got)
	}
	for name, tt := range map[string]struct {
		u            registry.Upstream
		own, clients []string // what the bodies have
	}{
		"openai": {at("https://api.openai.com/v1", registry.Settings{}), []string{`"developer"`, `"max_completion_tokens":5`}, []string{`"developer"`, `"max_completion_tokens":5`}},
		"azure":  {at("https://x.openai.azure.com/openai/v1", registry.Settings{}), []string{`"developer"`, `"max_completion_tokens":5`}, []string{`"developer"`, `"max_completion_tokens":5`}},
		"ollama": {at("http://localhost:11434/v1", registry.Settings{}), []string{`"max_tokens":5`, `{"role":"system","content":"b"}`}, []string{`"max_tokens":5`, `{"role":"system","content":"b"}`}},
		"vllm":   {at("http://h/v1", registry.Settings{Profile: "vllm"}), []string{`[{"role":"system","content":"a\n\nb"},`, `"max_tokens":5`}, []string{`[{"role":"system","content":"a\n\nb"},`, `"max_tokens":5`}},
		"llamacpp": {
			at("http://h/v1", registry.Settings{Profile: "llamacpp"}), []string{`"content":""`, `"content":"a\n\nb"`}, []string{`"content":""`, `"content":"a\n\nb"`},
		},
		"mistral":      {at("https://api.mistral.ai/v1", registry.Settings{}), []string{`"id":"SpNJKeyju"`, `"tool_call_id":"SpNJKeyju"`, `"parallel_tool_calls":true,"max_tokens":5}`}, []string{`"id":"SpNJKeyju"`}},
		"gemini":       {at("https://generativelanguage.googleapis.com/v1beta/openai/", registry.Settings{}), []string{`"content":"d","name":"f"`}, []string{`"content":"d","name":"f"`}},
		"overridden":   {at("http://localhost:11434/v1", registry.Settings{MaxTokensField: "max_completion_tokens", DeveloperRole: "developer"}), []string{`"max_completion_tokens":5`, `"developer"`}, []string{`"max_completion_tokens":5`, `"developer"`}},
		"strict":       {at("http://h/v1", registry.Settings{Strict: registry.Off}), []string{`"tools":[{"function":{"name":"f"}}]`}, []string{`"tools":[{"function":{"name":"f"}}]`}},
		"parallel":     {at("http://h/v1", registry.Settings{ParallelToolCalls: registry.Off}), []string{`"strict":true}}],"max_tokens":5`}, []string{`"strict":true}}],"max_completion_tokens":5`}},
		"the user":     {at("http://h/v1", registry.Settings{DeveloperRole: "user"}), []string{`[{"role":"user","content":"a\n\nb\n\nc"}`}, []string{`[{"role":"user","content":"a\n\nb\n\nc"}`}},
		"one setting":  {at("http://h/v1", registry.Settings{EmptyContent: "text"}), []string{`"content":""`}, []string{`"content":""`, `"developer"`, `"max_completion_tokens":5`}},
		"nothing else": {at("http://h/v1", registry.Settings{ToolName: registry.On}), []string{`"content":"d","name":"f"`}, []string{`"content":"d","name":"f"`, `"developer"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			has(t, apply(tt.u, nil), tt.own...)
			has(t, apply(tt.u, own), tt.clients...)
		})
	}
	for _, path := range []string{"/embeddings", "/responses", "/completions"} {
		r := Request{Path: path, Body: []byte(body)}
		if got := string(Apply(r, nil, Settings(unknown, r))); got != body && path != "/completions" {
			t.Errorf("%s: got %s", path, got)
		}
	}
}
