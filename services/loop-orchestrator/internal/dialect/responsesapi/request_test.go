package responsesapi

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// call returns a call of a request with those members. The default input is
// "hi".
func call(tb testing.TB, members string, turns ...transcript.Turn) model.Call {
	tb.Helper()
	if !strings.Contains(members, `"input"`) {
		members = `"input":"hi",` + members
	}
	r, fault := responses.Decode([]byte(`{` + strings.TrimSuffix(members, ",") + `,"model":"m"}`))
	if fault != nil {
		tb.Fatalf("decode %s: %s", members, fault.JSON())
	}
	return model.Call{Model: "up", Request: r, Turns: turns}
}

func encoded(tb testing.TB, c model.Call) map[string]any {
	tb.Helper()
	body, err := Dialect{}.Encode(c)
	if err != nil {
		tb.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		tb.Fatal(err)
	}
	if text := string(body); !strings.Contains(text, "web_search_call") && !strings.Contains(text, "json_object") && !strings.Contains(text, "custom") { // which only OpenAI has
		spectest.Conforms(tb, spectest.Schema(tb, "CreateResponseBody"), body)
	}
	return got
}

func TestHistory(t *testing.T) {
	t.Parallel()
	turn := transcript.Turn{Tools: map[string]run.Step{
		"c1": {CallID: "c1", Output: []byte("one")}, "c2": {CallID: "c2", Output: []byte("two\xff")},
	}}
	turn.Items = []item.Item{
		item.Reasoning{ID: "rs_1", Summary: []string{"s"}, Encrypted: "sealed"}.Item(),
		item.Reasoning{ID: "rs_2", Text: "open"}.Item(),
		item.Message("msg_1", "assistant", "completed", item.Part{Type: "output_text", Text: "let me see"}),
		item.Call{ID: "fc_1", Status: "completed", CallID: "c1", Name: "f", Arguments: `{"a":1}`}.Function(),
		item.Call{ID: "fc_2", Status: "completed", CallID: "c2", Name: "g", Arguments: `[1]`}.Function(),
		item.Call{ID: "fc_3", Status: "incomplete", CallID: "c3", Name: "mine", Arguments: `{"a`}.Function(),
	}
	const said = `{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}],"encrypted_content":"sealed"},
		{"type":"message","role":"assistant","content":[{"type":"output_text","text":"let me see","annotations":[],"logprobs":[]}]},
		{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
		{"type":"function_call","call_id":"c2","name":"g","arguments":"{\"_invalid_arguments\":\"[1]\"}"},
		{"type":"function_call_output","call_id":"c1","output":"one"},{"type":"function_call_output","call_id":"c2","output":"two` + "\uFFFD" + `"}`
	const hi = `{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}`
	const plain = `{"type":"message","role":"user","content":"hi"}`
	continued := call(t, `"input":"and now?"`, turn)
	continued.Ancestors = []transcript.Ancestor{{Input: call(t, "").Request.Input, Turns: []transcript.Turn{turn}}}
	for _, tt := range []struct {
		name string
		call model.Call
		want string
	}{
		{"a text", call(t, ""), hi},
		{"nothing", call(t, `"input":[]`), ""},
		{"turns", call(t, "", turn), hi + "," + said},
		{"earlier responses", continued, hi + "," + said + `,{"type":"message","role":"user","content":[{"type":"input_text","text":"and now?"}]},` + said},
		{
			"parts are passed on as they are", call(t, `"input":[{"role":"user","id":"msg_9","status":"completed","phase":null,"content":[{"type":"input_image","file_id":"f"},{"type":"input_file","file_url":"u"}]}]`),
			`{"type":"message","role":"user","content":[{"type":"input_image","file_id":"f"},{"type":"input_file","file_url":"u"}]}`,
		},
		{
			"reasoning given back", call(t, `"input":[{"type":"reasoning","id":"rs_1","encrypted_content":"sealed","content":null},{"type":"reasoning","summary":[]},{"role":"user","content":"hi"}]`),
			`{"type":"reasoning","summary":[],"encrypted_content":"sealed"},` + plain,
		},
		{
			"an output made of parts", call(t, `"input":[{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},
			{"type":"function_call_output","id":"fco_1","call_id":"c","output":[{"type":"input_text","text":"x"}]}]`),
			`{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
			{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"x"}]}`,
		},
		{
			"hosted calls given back", call(t, `"input":[{"role":"user","content":"hi"},{"type":"mcp_list_tools","id":"m","server_label":"windlass","tools":[]},
			{"type":"mcp_call","id":"mcp_1","server_label":"windlass","name":"f","arguments":"{}","output":"one"},
			{"type":"mcp_call","server_label":"windlass","name":"g","arguments":"{}","error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":"bad"}]}}]`),
			plain + `,{"type":"function_call","call_id":"call_6cb534f0ad3bebc250c0bee4","name":"f","arguments":"{}"},
			{"type":"function_call_output","call_id":"call_6cb534f0ad3bebc250c0bee4","output":"one"},
			{"type":"function_call","call_id":"call_hosted_3","name":"g","arguments":"{}"},
			{"type":"function_call_output","call_id":"call_hosted_3","output":"bad"}`,
		},
		{
			"thoughts that came to nothing", call(t, "", transcript.Turn{Record: transcript.Record{Items: []item.Item{
				item.Message("msg_1", "assistant", "completed", item.Part{Type: "refusal", Text: "no"}),
				item.Reasoning{ID: "rs_1", Encrypted: "sealed"}.Item(),
				item.Call{ID: "fc_3", Status: "incomplete", CallID: "c3", Name: "mine", Arguments: `{"a`}.Function(),
			}}}),
			hi + `,{"type":"message","role":"assistant","content":[{"type":"refusal","refusal":"no"}]}`,
		},
		{
			"calls of custom tools", call(t, `"input":[{"type":"custom_tool_call_output","id":"ctco_1","call_id":"c4","output":"ok"}],"previous_response_id":"resp_1"`,
				transcript.Turn{Record: transcript.Record{Items: []item.Item{
					item.Call{ID: "ctc_1", Status: "completed", CallID: "c5", Name: "patch", Arguments: "[any"}.Custom(),
					item.Call{ID: "fc_1", Status: "completed", CallID: "c7", Namespace: "crm", Name: "ask", Arguments: "{}"}.Function(),
					item.Call{ID: "ctc_2", Status: "incomplete", CallID: "c6", Name: "patch", Arguments: "[a"}.Custom(),
				}}}),
			`{"type":"custom_tool_call_output","call_id":"c4","output":"ok"},{"type":"custom_tool_call","call_id":"c5","name":"patch","input":"[any"},
			{"type":"function_call","call_id":"c7","namespace":"crm","name":"ask","arguments":"{}"}`,
		},
		{
			"what a message is for", call(t, `"input":[{"role":"assistant","phase":"commentary","content":"hm"}]`),
			`{"type":"message","role":"assistant","phase":"commentary","content":"hm"}`,
		},
		{
			"another server's item", call(t, `"input":[{"type":"web_search_call","id":"ws_1","status":"completed"}]`),
			`{"type":"web_search_call","id":"ws_1","status":"completed"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want any
			if err := json.Unmarshal([]byte("["+tt.want+"]"), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, encoded(t, tt.call)["input"]); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReferenceIsNotCarried(t *testing.T) {
	t.Parallel()
	_, err := Dialect{}.Encode(call(t, `"input":[{"type":"item_reference","id":"msg_1"}]`))
	if !errors.Is(err, model.ErrUnsupported) {
		t.Errorf("error %v, want model.ErrUnsupported", err)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	offers := []toolset.Offer{{Name: "f", Description: "d", Parameters: []byte(`{"type":"object"}`), Strict: new(true)}, {Name: "g"}}
	const offered = `"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true},
		{"type":"function","name":"g","parameters":null,"strict":false}]`
	with := func(c model.Call, change func(*model.Call)) model.Call {
		change(&c)
		return c
	}
	for _, tt := range []struct {
		name string
		call model.Call
		want string // members besides model, store and input
	}{
		{"nothing special", call(t, `"metadata":{"a":"1"},"tool_choice":"none","max_tool_calls":3,"store":true,"background":true,"client_metadata":{"a":1}`), ``},
		{"an upstream that seals nothing", with(call(t, `"include":["reasoning.encrypted_content"]`), func(c *model.Call) { c.NoSeal = true }), `"include":null`},
		{"instructions", call(t, `"instructions":"Be brief."`), `"instructions":"Be brief."`},
		{
			"what is asked for", call(t, `"include":["message.output_text.logprobs","web_search_call.results","reasoning.encrypted_content"]`),
			`"include":["reasoning.encrypted_content","message.output_text.logprobs"]`,
		},
		{
			"sampling", call(t, `"temperature":0,"top_p":0.5,"presence_penalty":1,"frequency_penalty":-1,"top_logprobs":2`),
			`"temperature":0,"top_p":0.5,"presence_penalty":1,"frequency_penalty":-1,"top_logprobs":2`,
		},
		{
			"a JSON schema", call(t, `"text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true},"verbosity":"low"}`),
			`"text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true},"verbosity":"low"}`,
		},
		{"any JSON", call(t, `"text":{"format":{"type":"json_object"}}`), `"text":{"format":{"type":"json_object"}}`},
		{
			"reasoning", call(t, `"reasoning":{"effort":"high","summary":"auto","mode":"pro","context":"all_turns"}`),
			`"reasoning":{"effort":"high","summary":"auto","mode":"pro","context":"all_turns"}`,
		},
		{
			"the rest", call(t, `"truncation":"auto","service_tier":"flex","user":"u","safety_identifier":"s","prompt_cache_key":"k",
			"prompt_cache_retention":"24h","prompt_cache_options":{"mode":"explicit","comparison_response_id":"resp_1"}`),
			`"truncation":"auto","service_tier":"flex","user":"u","safety_identifier":"s","prompt_cache_key":"k",
			"prompt_cache_retention":"24h","prompt_cache_options":{"mode":"explicit"}`,
		},
		{"a stream", with(call(t, ""), func(c *model.Call) { c.Stream = true }), `"stream":true`},
		{"what is left", with(call(t, ""), func(c *model.Call) { c.MaxTokens = new(17) }), `"max_output_tokens":17`},
		{"the least that may be asked for", with(call(t, ""), func(c *model.Call) { c.MaxTokens = new(0) }), `"max_output_tokens":16`},
		{
			"tools", with(call(t, `"parallel_tool_calls":false`), func(c *model.Call) { c.Tools, c.Choice.Mode = offers, "auto" }),
			offered + `,"tool_choice":"auto","parallel_tool_calls":false`,
		},
		{
			"one tool", with(call(t, ""), func(c *model.Call) {
				c.Tools, c.Choice.Tool = offers, &tool.Ref{Type: "mcp", ServerLabel: "windlass", Name: "f"}
			}),
			offered + `,"tool_choice":{"type":"function","name":"f"}`,
		},
		{
			"a custom tool", with(call(t, ""), func(c *model.Call) {
				c.Tools = []toolset.Offer{{Name: "patch", Given: json.RawMessage(`{"type":"custom","name":"patch","format":{"type":"text"}}`)}}
				c.Choice.Tool = &tool.Ref{Type: "custom", Name: "patch"}
			}),
			`"tools":[{"type":"custom","name":"patch","format":{"type":"text"}}],"tool_choice":{"type":"custom","name":"patch"}`,
		},
		{
			"a server's tools", with(call(t, ""), func(c *model.Call) {
				c.Tools, c.Choice.Tool = offers, &tool.Ref{Type: "mcp", ServerLabel: "windlass"}
			}),
			offered + `,"tool_choice":"required"`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var want map[string]any
			if err := json.Unmarshal([]byte("{"+tt.want+"}"), &want); err != nil {
				t.Fatal(err)
			}
			got := encoded(t, tt.call)
			if _, said := want["include"]; !said {
				want["include"] = []any{"reasoning.encrypted_content"}
			}
			if want["include"] == nil {
				delete(want, "include")
			}
			if got["model"] != "up" || got["store"] != false || got["input"] == nil {
				t.Errorf("model %v, store %v, input %v", got["model"], got["store"], got["input"])
			}
			for _, name := range []string{"model", "store", "input"} {
				delete(got, name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
