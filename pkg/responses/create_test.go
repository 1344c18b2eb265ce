package responses

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/responses/tool"
)

const everything = `{
  "model": "gpt-x", "instructions": "Be brief.", "previous_response_id": "resp_0",
  "input": [
    {"role": "user", "content": "Look \u0000"},
    {"type": "message", "role": "user", "content": [
      {"type": "input_text", "text": "and"},
      {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
      {"type": "input_file", "filename": "a.txt", "file_data": "aGk="}]},
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "sealed"},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "function_call_output", "call_id": "c1", "output": "done"}
  ],
  "background": true, "store": true, "stream": true, "stream_options": {"include_obfuscation": false},
  "tools": [
    {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object", "properties": {}}, "strict": false},
    {"type": "function", "name": "g"},
    {"type": "mcp", "server_label": "s", "server_url": "https://mcp.test", "authorization": "secret", "headers": {"k": "secret"}}
  ],
  "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}, {"type": "mcp", "server_label": "s"}]},
  "parallel_tool_calls": false, "max_tool_calls": 3, "max_output_tokens": 100,
  "temperature": 0.7, "top_p": 0.9, "presence_penalty": -1, "frequency_penalty": 0.5, "top_logprobs": 2,
  "truncation": "auto", "service_tier": "priority",
  "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": null}, "verbosity": "low"},
  "reasoning": {"effort": "high", "summary": "auto"},
  "metadata": {"b": "2", "a": "1"}, "include": ["reasoning.encrypted_content"],
  "user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "client_metadata": {"x": 1}
}`

func TestDecodeReadsEverything(t *testing.T) {
	t.Parallel()
	got, err := Decode([]byte(everything))
	if err != nil {
		t.Fatal(err.Message)
	}
	want := &Create{
		Model: "gpt-x", Instructions: "Be brief.", PreviousResponseID: "resp_0",
		Input: []item.Item{
			{Type: "message", Role: "user"},
			{Type: "message", Role: "user"},
			{Type: "reasoning", ID: "rs_1"},
			{Type: "function_call", ID: "fc_1", CallID: "c1", Name: "f", Status: "completed"},
			{Type: "function_call_output", CallID: "c1"},
		},
		Background: true, Store: true, Stream: true, IncludeObfuscation: new(bool), Generate: true,
		Tools: []tool.Tool{
			{Type: "function", Name: "f", Description: "does", Parameters: json.RawMessage(`{"type":"object","properties":{}}`), Strict: new(bool)},
			{Type: "function", Name: "g"},
			{Type: "mcp", ServerLabel: "s"},
		},
		ToolChoice: tool.Choice{Mode: "required", Allowed: []tool.Ref{
			{Type: "function", Name: "f"}, {Type: "mcp", ServerLabel: "s"},
		}},
		ParallelToolCalls: new(bool), MaxToolCalls: new(3), MaxOutputTokens: new(100),
		Temperature: new(0.7), TopP: new(0.9), PresencePenalty: new(-1.0), FrequencyPenalty: new(0.5), TopLogprobs: new(2),
		Truncation: "auto", ServiceTier: "priority",
		Text:      Text{Format: "json_schema", Name: "n", Schema: json.RawMessage(`{"type":"object"}`), Verbosity: "low"},
		Reasoning: Reasoning{Effort: "high", Summary: "auto"},
		Metadata:  map[string]string{"a": "1", "b": "2"}, Include: []string{"reasoning.encrypted_content"},
		User: "u", SafetyIdentifier: "s", PromptCacheKey: "k",
		Extra: map[string]json.RawMessage{"client_metadata": json.RawMessage(`{"x":1}`)},
	}
	opts := cmpopts.IgnoreUnexported(Create{}, item.Item{}, tool.Tool{}, tool.Choice{})
	if diff := cmp.Diff(want, got, opts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDecodeDefaults(t *testing.T) {
	t.Parallel()
	got, err := Decode([]byte(`{"model":"m","input":"a\u0000\n"}`))
	if err != nil {
		t.Fatal(err.Message)
	}
	want := &Create{
		Model: "m", Store: true, Generate: true, Input: []item.Item{{Type: "message", Role: "user"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Create{}, item.Item{}, tool.Choice{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	parts := []item.Part{{Type: "input_text", Text: "a\x00\n"}}
	if diff := cmp.Diff(parts, got.Input[0].Parts()); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
}

func TestToolChoice(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]struct {
		choice tool.Choice
		echo   string
	}{
		`null`:                           {tool.Choice{}, `"auto"`},
		`"none"`:                         {tool.Choice{Mode: "none"}, `"none"`},
		`{"type":"function","name":"f"}`: {tool.Choice{Tool: &tool.Ref{Type: "function", Name: "f"}}, `{"type":"function","name":"f"}`},
		`{"type":"mcp","server_label":"s","name":"t"}`: {
			tool.Choice{Tool: &tool.Ref{Type: "mcp", ServerLabel: "s", Name: "t"}}, `{"type":"mcp","server_label":"s","name":"t"}`,
		},
		`{"type":"web_search"}`:               {tool.Choice{Tool: &tool.Ref{Type: "web_search"}}, `{"type":"web_search"}`},
		`{"type":"allowed_tools","tools":[]}`: {tool.Choice{Mode: "auto", Allowed: []tool.Ref{}}, `{"type":"allowed_tools","mode":"auto","tools":[]}`},
	} {
		got, err := Decode([]byte(body(`"tool_choice":` + in)))
		if err != nil {
			t.Errorf("%s: %s", in, err.JSON())
			continue
		}
		if diff := cmp.Diff(want.choice, got.ToolChoice, cmpopts.IgnoreUnexported(tool.Choice{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", in, diff)
		}
		if echo := string(got.ToolChoice.AppendEcho(nil)); echo != want.echo {
			t.Errorf("echo of %s = %s, want %s", in, echo, want.echo)
		}
	}
}
