package responses

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/responses/fault"
)

// body makes a valid request out of members, which come last.
func body(members string) string {
	if !strings.Contains(members, `"model"`) {
		members = `"model":"m",` + members
	}
	if !strings.Contains(members, `"input"`) {
		members = `"input":"hi",` + members
	}
	return "{" + strings.TrimSuffix(members, ",") + "}"
}

func TestDecodeRefusesWhatIsNotJSON(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"I01 malformed":          `{"model":`,
		"I01 empty":              ``,
		"I01 trailing garbage":   `{"model":"m","input":"x"} x`,
		"I01 tab in a string":    "{\"model\":\"m\",\"input\":\"a\tb\"}",
		"I04 invalid UTF-8":      "{\"model\":\"m\",\"input\":\"\xc3\x28\"}",
		"I04 byte order mark":    "\ufeff" + `{"model":"m","input":"x"}`,
		"I02 deep nesting":       strings.Repeat("[", 100_000),
		"I02 deep unknown field": `{"model":"m","input":"x","x":` + strings.Repeat(`{"a":`, 70) + `1` + strings.Repeat("}", 70) + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err *fault.Error
			took := time.Hour
			for range 5 { // the best of five: other tests run beside it
				start := time.Now()
				_, err = Decode([]byte(in))
				took = min(took, time.Since(start))
			}
			if err == nil {
				t.Fatal("Decode accepted it")
			}
			want := &fault.Error{Status: http.StatusBadRequest, Type: "invalid_request_error"}
			if diff := cmp.Diff(want, err, cmpopts.IgnoreFields(fault.Error{}, "Message")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !strings.HasPrefix(err.Message, "We could not parse the JSON body of your request.") {
				t.Errorf("message %q", err.Message)
			}
			if took > 10*time.Millisecond {
				t.Errorf("took %v, want at most 10ms", took)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("é", n) }
	many := func(n int, format string) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf(format, i))
		}
		return strings.Join(list, ",")
	}
	fn := func(rest string) string { return `"tools":[{"type":"function","name":"f",` + rest + `}]` }
	format := func(rest string) string {
		return `"text":{"format":{"type":"json_schema","name":"n",` + rest + `}}`
	}
	for _, tt := range []struct{ name, in, param, code, message string }{
		{"body is no object", `[]`, "", "invalid_type", "Invalid type for 'body': expected an object, but got an array instead."},
		{"I07 model", `{"input":"x"}`, "model", "missing_required_parameter", "Missing required parameter: 'model'."},
		{"I07 model null", `{"input":"x","model":null}`, "model", "missing_required_parameter", "Missing required parameter: 'model'."},
		{"I07 input", `{"model":"m"}`, "input", "missing_required_parameter", `One of "input" or`},

		{"I08 input", body(`"input":5`), "input", "invalid_type", "Invalid type for 'input': expected one of a string or array of input items, but got an integer instead."},
		{"I08 stream", body(`"stream":"yes"`), "stream", "invalid_type", "Invalid type for 'stream': expected a boolean, but got a string instead."},
		{"I08 element", body(`"input":["x"]`), "input[0]", "invalid_type", "Invalid type for 'input[0]': expected an object, but got a string instead."},
		{"I08 part", body(`"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":7}]}]`), "input[0].content[1].text", "invalid_type", "Invalid type for 'input[0].content[1].text': expected a string, but got an integer instead."},
		{"I08 content", body(`"input":[{"role":"user","content":null}]`), "input[0].content", "invalid_type", "Invalid type for 'input[0].content': expected one of an array of objects or string, but got null instead."},
		{"I08 image as in chat", body(`"input":[{"role":"user","content":[{"type":"input_image","image_url":{"url":"x"}}]}]`), "input[0].content[0].image_url", "invalid_type", "expected a string, but got an object instead."},
		{"I08 decimal", body(`"max_output_tokens":20.5`), "max_output_tokens", "invalid_type", "expected an integer, but got a decimal number instead."},
		{"I08 metadata", body(`"metadata":{"a":1}`), "metadata.a", "invalid_type", "Invalid type for 'metadata.a': expected a string, but got an integer instead."},
		{"I08 temperature", body(`"temperature":"hot"`), "temperature", "invalid_type", "expected a decimal number, but got a string instead."},
		{"I08 tool choice", body(`"tool_choice":1`), "tool_choice", "invalid_type", "expected one of a string or object, but got an integer instead."},
		{"role missing", body(`"input":[{"content":"x"}]`), "input[0].role", "missing_required_parameter", "Missing required parameter: 'input[0].role'."},
		{"content missing", body(`"input":[{"role":"user"}]`), "input[0].content", "missing_required_parameter", ""},
		{"text missing", body(`"input":[{"role":"user","content":[{"type":"input_text"}]}]`), "input[0].content[0].text", "missing_required_parameter", ""},
		{"image without source", body(`"input":[{"role":"user","content":[{"type":"input_image"}]}]`), "input[0].content[0].image_url", "missing_required_parameter", ""},
		{"call id missing", body(`"input":[{"type":"function_call","name":"f","arguments":"{}"}]`), "input[0].call_id", "missing_required_parameter", ""},
		{"output of wrong type", body(`"input":[{"type":"function_call_output","call_id":"c","output":{}}]`), "input[0].output", "invalid_type", ""},

		{"I10 truncation", body(`"truncation":"bogus"`), "truncation", "invalid_value", "Invalid value: 'bogus'. Supported values are: 'auto' and 'disabled'."},
		{"I10 role", body(`"input":[{"role":"tool","content":"x"}]`), "input[0].role", "invalid_value", "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'."},
		{"I10 part as in chat", body(`"input":[{"role":"user","content":[{"type":"image_url","text":"x"}]}]`), "input[0].content[0].type", "invalid_value", ""},
		{"I10 effort", body(`"reasoning":{"effort":"huge"}`), "reasoning.effort", "invalid_value", ""},
		{"I10 verbosity", body(`"text":{"verbosity":"chatty"}`), "text.verbosity", "invalid_value", ""},
		{"I10 format", body(`"text":{"format":{"type":"xml"}}`), "text.format.type", "invalid_value", ""},
		{"I10 include", body(`"include":["reasoning.encrypted_content","all"]`), "include[1]", "invalid_value", ""},
		{"I10 tool choice", body(`"tool_choice":"maybe"`), "tool_choice", "invalid_value", ""},
		{"I10 long value is cut", body(`"service_tier":"` + long(1000) + `"`), "service_tier", "invalid_value", long(64) + "...'"},

		{"I11 max_output_tokens", body(`"max_output_tokens":15`), "max_output_tokens", "integer_below_min_value", "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 15 instead."},
		{"I11 huge", body(`"max_output_tokens":99999999999999999999`), "max_output_tokens", "integer_above_max_value", ""},
		{"I11 hugely negative", body(`"max_output_tokens":-99999999999999999999`), "max_output_tokens", "integer_below_min_value", ""},
		{"max_tool_calls", body(`"max_tool_calls":0`), "max_tool_calls", "integer_below_min_value", ""},
		{"top_logprobs", body(`"top_logprobs":21`), "top_logprobs", "integer_above_max_value", ""},
		{"temperature", body(`"temperature":2.01`), "temperature", "decimal_above_max_value", "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.01 instead."},
		{"temperature infinite", body(`"temperature":1e999`), "temperature", "decimal_above_max_value", ""},
		{"top_p", body(`"top_p":-0.1`), "top_p", "decimal_below_min_value", ""},
		{"presence_penalty", body(`"presence_penalty":3`), "presence_penalty", "decimal_above_max_value", ""},

		{"I12 prompt_cache_key", body(`"prompt_cache_key":"` + long(65) + `"`), "prompt_cache_key", "string_above_max_length", "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got a string with length 65 instead."},
		{"I12 metadata pairs", body(`"metadata":{` + many(17, `"k%d":""`) + `}`), "metadata", "object_above_max_properties", "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead."},
		{"I12 metadata value", body(`"metadata":{"a":"` + long(513) + `"}`), "metadata.a", "string_above_max_length", ""},
		{"I12 metadata key", body(`"metadata":{"` + long(65) + `":""}`), "metadata", "property_name_above_max_length", ""},
		{"I12 function name", body(`"tools":[{"type":"function","name":"` + strings.Repeat("f", 65) + `"}]`), "tools[0].name", "string_above_max_length", ""},
		{"I12 function name's letters", body(`"tools":[{"type":"function","name":"a b"}]`), "tools[0].name", "invalid_value", "Invalid 'tools[0].name': string does not match pattern."},
		{"I13 tools", body(`"tools":[` + many(129, `{"type":"function","name":"f%d"}`) + `]`), "tools", "array_above_max_length", "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 instead."},

		{"I15 tool without name", body(`"tools":[{"type":"function","function":{"name":"f"}}]`), "tools[0].name", "missing_required_parameter", ""},
		{"I15 tool without type", body(`"tools":[{"name":"f"}]`), "tools[0].type", "missing_required_parameter", ""},
		{"I15 parameters no object", body(fn(`"parameters":"x"`)), "tools[0].parameters", "invalid_type", ""},
		{"I15 parameters of a text", body(fn(`"parameters":{"type":"string"}`)), "tools[0].parameters", "invalid_function_parameters", `Invalid schema for function 'f': schema must be a JSON Schema of 'type: "object"', got 'type: "string"'.`},
		{"I15 open in strict mode", body(fn(`"strict":true,"parameters":{"type":"object","properties":{}}`)), "tools[0].parameters", "invalid_function_parameters", "In context=(), 'additionalProperties' is required to be supplied and to be false."},
		{"I15 optional in strict mode", body(format(`"strict":true,"schema":{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":{"type":"array","items":{"type":"object","additionalProperties":false,"properties":{"b":{}}}}}}`)), "text.format.schema", "invalid_json_schema", "In context=('properties', 'a', 'items'), 'required' is required to be supplied and to be an array including every key in properties. Missing 'b'."},
		{"I15 format without schema", body(format(`"strict":true`)), "text.format.schema", "missing_required_parameter", ""},
		{"I15 format of a list", body(format(`"schema":{"type":"array"}`)), "text.format.schema", "invalid_json_schema", ""},

		{"I16 output without call", body(`"input":[{"type":"function_call_output","call_id":"call_1","output":"x"}]`), "input", "", "No tool call found for function call output with call_id call_1."},
		{"I16 output before call", body(`"input":[{"type":"function_call_output","call_id":"c","output":"x"},{"type":"function_call","call_id":"c","name":"f","arguments":""}]`), "input", "", ""},
		{"I16 call without output", body(`"previous_response_id":"resp_1","input":[{"type":"function_call","call_id":"call_1","name":"f","arguments":""}]`), "input", "", "No tool output found for function call call_1."},
		{"I20 background without store", body(`"background":true,"store":false`), "background", "unsupported_parameter", ""},
		{"conversation and previous", body(`"conversation":{"id":"conv_1"},"previous_response_id":"resp_1"`), "previous_response_id", "mutually_exclusive_parameters", ""},
		{"conversation without id", body(`"conversation":{}`), "conversation.id", "missing_required_parameter", ""},
		{"conversation of another kind", body(`"conversation":"resp_1"`), "conversation", "invalid_value", "Invalid 'conversation': 'resp_1'. Expected an ID that begins with 'conv'."},
		{"conversation without a name", body(`"conversation":{"id":""}`), "conversation.id", "invalid_value", "Invalid 'conversation.id': ''. Expected an ID that begins with 'conv'."},
		{"conversation with a path", body(`"conversation":"conv_/../x"`), "conversation", "invalid_value", "Expected an ID that contains letters, numbers, underscores, or dashes"},
		{"conversation too long", body(`"conversation":"conv_` + strings.Repeat("x", 60) + `"`), "conversation", "string_above_max_length", ""},
		{"conversation as a number", body(`"conversation":1`), "conversation", "invalid_type", ""},
		{"an item's id in a conversation", body(`"conversation":"conv_1","input":[{"role":"user","content":"x","id":"item_1"}]`), "input[0].id", "invalid_value", "Invalid 'input[0].id': 'item_1'. Expected an ID that begins with 'msg'."},
		{"an item twice in a conversation", body(`"conversation":"conv_1","input":[{"role":"user","content":"x","id":"msg_1"},{"role":"user","content":"y","id":"msg_1"}]`), "input", "", "Duplicate item found with id msg_1. Remove duplicate items from your input and try again."},
		{"a reference twice", body(`"input":[{"type":"item_reference","id":"rs_1"},{"id":"rs_1"}]`), "input", "", "Duplicate item found with id rs_1."},
		{"an item and a reference to it", body(`"input":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"item_reference","id":"rs_1"}]`), "input", "", "Duplicate item found with id rs_1."},
		{"reference without id", body(`"input":[{"type":"item_reference"}]`), "input[0].id", "missing_required_parameter", ""},
		{"choice without name", body(`"tool_choice":{"type":"function"}`), "tool_choice.name", "missing_required_parameter", ""},
		{"allowed tools", body(`"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"a"},5]}`), "tool_choice.tools[1]", "invalid_type", ""},
		{"allowed tools' mode", body(`"tool_choice":{"type":"allowed_tools","mode":"any","tools":[]}`), "tool_choice.mode", "invalid_value", ""},
		{"stream options", body(`"stream_options":{"include_obfuscation":1}`), "stream_options.include_obfuscation", "invalid_type", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode([]byte(tt.in))
			if err == nil {
				t.Fatalf("Decode accepted %.200s", tt.in)
			}
			want := &fault.Error{Status: 400, Type: "invalid_request_error", Param: tt.param, Code: tt.code}
			if diff := cmp.Diff(want, err, cmpopts.IgnoreFields(fault.Error{}, "Message")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err.Message == "" || !strings.Contains(err.Message, tt.message) {
				t.Errorf("message %q, want %q in it", err.Message, tt.message)
			}
			if !json.Valid(err.JSON()) {
				t.Errorf("envelope is not JSON: %s", err.JSON())
			}
		})
	}
}

func TestDecodeTolerates(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]string{
		"unknown field":           body(`"client_metadata":{"a":1},"bogus":[1]`),
		"unknown tool":            body(`"tools":[{"type":"namespace","name":"n","tools":[]},{"type":"web_search"},{"type":"acme:thing"}]`),
		"unknown item":            body(`"input":[{"type":"tool_search_call","status":7},{"type":"acme:item"}]`),
		"another vendor's part":   body(`"input":[{"role":"user","content":[{"type":"acme:part"}]}]`),
		"nulls":                   body(`"input":[{"role":"user","content":"x","id":null,"status":null}],"temperature":null,"stream":null,"tools":null,"text":null,"reasoning":{"effort":null,"summary":null},"metadata":null,"tool_choice":null,"user":null`),
		"I05 NUL":                 body(`"input":"a\u0000b","metadata":{"a\u0000":"\u0000"}`),
		"I04 lone surrogate":      body(`"input":"\ud800"`),
		"only a continuation":     `{"model":"m","previous_response_id":"resp_1"}`,
		"empty input":             body(`"input":[]`),
		"output of an older call": body(`"previous_response_id":"r","input":[{"type":"function_call_output","call_id":"c","output":"x"}]`),
		"output of a reference":   body(`"input":[{"type":"item_reference","id":"fc_1"},{"type":"function_call_output","call_id":"c","output":"x"}]`),
		"items of the same id":    body(`"input":[{"role":"user","content":"x","id":"1"},{"role":"user","content":"x","id":"1"}]`),
		"in a conversation":       body(`"conversation":"conv_1","input":[{"role":"user","content":"x","id":""},{"role":"user","content":"x","id":"msg_1"},{"type":"acme:item","id":"x"},{"id":"../x"}]`),
		"pairs":                   body(`"input":[{"type":"function_call","call_id":"a","name":"f","arguments":"not json"},{"type":"function_call","call_id":"b","name":"g h","arguments":""},{"type":"function_call_output","call_id":"b","output":[{"type":"input_text","text":"x"}]},{"type":"function_call_output","call_id":"a","output":""}]`),
		"deep schema":             body(`"tools":[{"type":"function","name":"f","parameters":{"type":"object","x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}]`),
		"loose schema":            body(`"tools":[{"type":"function","name":"f","strict":false,"parameters":{"type":"object","properties":{"a":{}}}},{"type":"function","name":"g","parameters":{}}]`),
		"limits":                  body(`"max_output_tokens":16,"max_tool_calls":1,"temperature":2,"top_p":1,"top_logprobs":20,"metadata":{"` + strings.Repeat("é", 64) + `":"` + strings.Repeat("é", 512) + `"},"safety_identifier":"` + strings.Repeat("é", 64) + `"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Decode([]byte(in)); err != nil {
				t.Errorf("Decode(%.200s) = %s", in, err.JSON())
			}
		})
	}
}
