package responses

import (
	"encoding/json"
	"strings"
	"testing"

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

// TestDecodeRefuses has what is between fields. The rest of what is refused is
// one table, with its status and through HTTP: TestBadInputs of the gateway.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, param, code, message string }{
		{"conversation without a name", body(`"conversation":{"id":""}`), "conversation.id", "invalid_value", "Invalid 'conversation.id': ''. Expected an ID that begins with 'conv'."},
		{"an item's id in a conversation", body(`"conversation":"conv_1","input":[{"role":"user","content":"x","id":"item_1"}]`), "input[0].id", "invalid_value", "Invalid 'input[0].id': 'item_1'. Expected an ID that begins with 'msg'."},
		{"an item twice in a conversation", body(`"conversation":"conv_1","input":[{"role":"user","content":"x","id":"msg_1"},{"role":"user","content":"y","id":"msg_1"}]`), "input", "", "Duplicate item found with id msg_1. Remove duplicate items from your input and try again."},
		{"an item and a reference to it", body(`"input":[{"type":"reasoning","id":"rs_1","summary":[]},{"type":"item_reference","id":"rs_1"}]`), "input", "", "Duplicate item found with id rs_1."},
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
