package capability

import (
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses"
)

func TestRefuse(t *testing.T) {
	t.Parallel()
	part := func(p string) string {
		return `"input":[{"role":"user","content":[{"type":"input_text","text":"a"},` + p + `]}]`
	}
	for _, tt := range []struct{ name, in, param string }{
		{"text", `"input":"hi"`, ""},
		{"every item that is given on", `"input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[]},{"type":"mcp_list_tools","id":"m"},
			{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"x"}]},
			{"type":"mcp_call","server_label":"s","name":"t","arguments":"{}","output":"o"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},
			{"type":"item_reference","id":"msg_1"}]`, ""},
		{"an image", part(`{"type":"input_image","image_url":"https://x.test/a.png"}`), ""},
		{"a file", part(`{"type":"input_file","file_data":"aGk="}`), ""},
		{"hints", `"reasoning":{"summary":"auto","mode":"standard","context":"current_turn"},"truncation":"disabled"`, ""},

		{"an image by its id", part(`{"type":"input_image","file_id":"file_1"}`), "input[0].content[1]"},
		{"a file by its URL", part(`{"type":"input_file","file_url":"https://x.test/a.pdf"}`), "input[0].content[1]"},
		{"audio", part(`{"type":"input_audio","data":"x"}`), "input[0].content[1]"},
		{"another vendor's part", part(`{"type":"acme:part"}`), "input[0].content[1]"},
		{"an image as output", `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":""},{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"x"}]}]`, "input[1].output[0]"},
		{"another server's item", `"input":[{"role":"user","content":"a"},{"type":"web_search_call","id":"ws_1"}]`, "input[1]"},
		{"truncation", `"truncation":"auto"`, "truncation"},
		{"reasoning mode", `"reasoning":{"mode":"pro"}`, "reasoning.mode"},
		{"reasoning context", `"reasoning":{"context":"all_turns"}`, "reasoning.context"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := tt.in
			if !strings.Contains(in, `"input"`) {
				in += `,"input":"hi"`
			}
			c, f := responses.Decode([]byte(`{"model":"m",` + in + `}`))
			if f != nil {
				t.Fatal(f.Message)
			}
			got := Check("chat", c)
			if (got == nil) != (tt.param == "") {
				t.Fatalf("refused with %v, want param %q", got, tt.param)
			}
			if got != nil && (got.Status != 400 || got.Param != tt.param || got.Code != "unsupported_value" || !strings.HasPrefix(got.Message, "Unsupported value: '"+tt.param+"'")) {
				t.Errorf("refused with %s, want param %q", got.JSON(), tt.param)
			}
			if got := Check("responses", c); got != nil {
				t.Errorf("refused with %s for an upstream that speaks this API", got.JSON())
			}
		})
	}
}
