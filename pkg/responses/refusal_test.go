package responses

import (
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/responses/fault"
)

func TestRefusal(t *testing.T) {
	t.Parallel()
	const f = `"tools":[{"type":"function","name":"f"}]`
	for _, tt := range []struct{ name, in, param, code, message string }{
		{"cache options", `"prompt_cache_options":"x"`, "prompt_cache_options", "invalid_type", ""},
		{"reasoning context", `"reasoning":{"context":5}`, "reasoning.context", "invalid_type", "Invalid type for 'reasoning.context': expected a string"},
		{"old name of summary", `"reasoning":{"generate_summary":"long"}`, "reasoning.generate_summary", "invalid_value", ""},

		{"a function's name of another type", f + `,"tool_choice":{"type":"custom","name":"f"}`, "tool_choice", "", "Tool choice 'f' not found"},
		{"a hosted tool that is not there", f + `,"tool_choice":{"type":"web_search"}`, "tool_choice", "", "Tool choice 'web_search' not found"},
		{"a server that is not there", f + `,"tool_choice":{"type":"mcp","server_label":"s"}`, "tool_choice", "", "Tool choice 's' not found"},
		{"a function of no tools", `"tool_choice":{"type":"function","name":"f"}`, "tool_choice", "", "Tool choice 'f' not found"},
		{"an allowed tool that is not there", f + `,"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"f"},{"type":"function","name":"g"}]}`, "tool_choice", "", "Tool choice 'g' not found"},
		{"no allowed tools", f + `,"tool_choice":{"type":"allowed_tools","tools":[]}`, "tool_choice.tools", "array_below_min_length", "Invalid 'tool_choice.tools': array too short."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, body(tt.in)).Refusal()
			if got == nil {
				t.Fatal("not refused")
			}
			want := fault.Error{Status: http.StatusBadRequest, Type: "invalid_request_error", Param: tt.param, Code: tt.code, Message: got.Message}
			if *got != want || !strings.Contains(got.Message, tt.message) {
				t.Errorf("refused with %s, want param %q, code %q, %q", got.JSON(), tt.param, tt.code, tt.message)
			}
		})
	}
}

func TestRefusalLetsPass(t *testing.T) {
	t.Parallel()
	const tools = `"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{"a":{}}}},
		{"type":"web_search"},{"type":"mcp","server_label":"s"},{"type":"namespace","name":"n","tools":[{"type":"function","name":"inner"}]}]`
	for name, in := range map[string]string{
		"plain":              ``,
		"what is unknown":    `"client_metadata":{"a":1},"seed":7,"reasoning":{"depth":3}`,
		"hints":              `"prompt_cache_retention":"24h","prompt_cache_options":{"mode":"explicit","ttl":"12h","prewarm":false,"comparison_response_id":"resp_1"}`,
		"reasoning":          `"reasoning":{"mode":"pro","context":"all_turns","summary":"auto","generate_summary":"detailed"}`,
		"a function":         tools + `,"tool_choice":{"type":"function","name":"f"}`,
		"a function inside":  tools + `,"tool_choice":{"type":"function","name":"inner"}`,
		"a namespace":        tools + `,"tool_choice":{"type":"namespace","name":"n"}`,
		"a server":           tools + `,"tool_choice":{"type":"mcp","server_label":"s","name":"any"}`,
		"a hosted tool":      tools + `,"tool_choice":{"type":"web_search"}`,
		"allowed tools":      tools + `,"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"f"},{"type":"mcp","server_label":"s"},{"type":"web_search"}]}`,
		"required":           tools + `,"tool_choice":"required"`,
		"none without tools": `"tool_choice":"none"`,
		"auto without tools": `"tool_choice":"auto","tools":[]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := decode(t, body(in)).Refusal(); got != nil {
				t.Errorf("refused with %s", got.JSON())
			}
		})
	}
}

func TestReasoningIsReadAndEchoed(t *testing.T) {
	t.Parallel()
	c := decode(t, body(`"reasoning":{"generate_summary":"detailed","mode":"pro","context":"current_turn"}`))
	if want := (Reasoning{Summary: "detailed", Mode: "pro", Context: "current_turn"}); c.Reasoning != want {
		t.Errorf("reasoning is %+v, want %+v", c.Reasoning, want)
	}
	got := string(Response{Request: c}.JSON())
	if want := `"reasoning":{"effort":null,"summary":"detailed","mode":"pro","context":"current_turn"}`; !strings.Contains(got, want) {
		t.Errorf("echoed as %s, want %s in it", got, want)
	}
}

func TestServiceTierThatIsReported(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"": "default", "auto": "default", "default": "default", "scale": "default", "flex": "flex", "priority": "priority",
		"fast": "priority", "ultrafast": "ultrafast",
	} {
		got := string(Response{Request: &Create{ServiceTier: asked}}.JSON())
		if !strings.Contains(got, `"service_tier":"`+want+`"`) {
			t.Errorf("asked for %q it is reported as %s, want %s", asked, got, want)
		}
	}
}
