package toolset

import (
	"errors"
	"testing"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	server := func(more string) string {
		return `"tools":[` + function + `,{"type":"mcp","server_label":"windlass",` + more + `}]`
	}
	const tools = `"tools":[` + hosted + `,` + function + `,{"type":"web_search"},{"type":"custom","name":"c"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"inner"}]}],"tool_choice":`
	for _, tt := range []struct{ name, fields, param, code string }{
		{"no tools", `"store":true`, "", ""},
		{"a server without approval", server(`"require_approval":"never","server_url":"https://x.test","authorization":null,"headers":{}`), "", ""},
		{"approval", server(`"require_approval":"always"`), "tools[1].require_approval", "unsupported_value"},
		{"approval of some", server(`"require_approval":{"never":{"tool_names":["add"]}}`), "tools[1].require_approval", "unsupported_value"},
		{"a credential", server(`"authorization":"secret"`), "tools[1].authorization", "unsupported_value"},
		{"headers", server(`"headers":{"k":"secret"}`), "tools[1].headers", "unsupported_value"},
		{"headers that are none", server(`"headers":"secret"`), "tools[1].headers", "invalid_type"},
		{"another server", `"tools":[{"type":"mcp","server_label":"other"}]`, "tools[0].server_label", "invalid_value"},

		{"the function", tools + `{"type":"function","name":"ask"}`, "", ""},
		{"the server", tools + hosted, "", ""},
		{"one of the server", tools + `{"type":"mcp","server_label":"windlass","name":"add"}`, "", ""},
		{"required", tools + `"required"`, "", ""},
		{"none", tools + `"none"`, "", ""},
		{"one that the server does not have", tools + `{"type":"mcp","server_label":"windlass","name":"rm"}`, "tool_choice", ""},
		{"one that the request leaves out", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":["now"]}],"tool_choice":{"type":"mcp","server_label":"windlass","name":"add"}`, "tool_choice", ""},
		{"a server of no tools", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":[]}],"tool_choice":` + hosted, "tool_choice", "unsupported_value"},
		{"a hosted tool", tools + `{"type":"web_search"}`, "tool_choice", "unsupported_value"},
		{"a custom tool", tools + `{"type":"custom","name":"c"}`, "tool_choice", "unsupported_value"},
		{"a function inside", tools + `{"type":"function","name":"inner"}`, "tool_choice", "unsupported_value"},
		{"required of what is not offered", `"tools":[{"type":"web_search"}],"tool_choice":"required"`, "tool_choice", "unsupported_value"},
		{"auto of what is not offered", `"tools":[{"type":"web_search"}],"tool_choice":"auto"`, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := Validate(decode(t, tt.fields), newRegistry(t))
			var refusal *Refusal
			if errors.As(err, &refusal) != (tt.param != "") || refusal != nil && (refusal.Param != tt.param || refusal.Code != tt.code || refusal.Message == "") {
				t.Errorf("refused with %+v (%v), want param %q, code %q", refusal, err, tt.param, tt.code)
			}
		})
	}
}

func TestNoToolIsRunWhenTheChoiceIsNone(t *testing.T) {
	t.Parallel()
	got, err := Resolve(decode(t, `"tools":[`+hosted+`,`+function+`],"tool_choice":"none"`), newRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := got.Server("add"); ok || got.Client("", "ask") || len(got.Offers) != 3 {
		t.Errorf("a tool may be called, of %d that are offered; want none of 3", len(got.Offers))
	}
}
