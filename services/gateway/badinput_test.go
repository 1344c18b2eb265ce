package gateway

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/store"
)

// refusal is one bad request and what it has to be answered. In path and body, {name} stands for an id of that kind.
type refusal struct {
	name, method, path, body string
	status                   int
	param, code              any
	message                  string // what the message begins with
}

const (
	create   = "/v1/responses"
	unparsed = "We could not parse the JSON body of your request. "
	unknown  = "resp_00000000000070008000000000000000"
)

// badBodies are the rows of PROMISES that a body alone makes: I1, I4, I7 to I16 and I20.
func badBodies() []refusal {
	ask := func(name string, status int, param, code any, message, fields string) refusal {
		return refusal{name, "POST", create, `{"model":"m","input":"x",` + fields + `}`, status, param, code, message}
	}
	raw := func(name, body string, param, code any, message string) refusal {
		return refusal{name, "POST", create, body, 400, param, code, message}
	}
	return []refusal{
		raw("I01 malformed", `{"model":`, nil, nil, unparsed+"(HINT: "),
		raw("I01 empty", ``, nil, nil, unparsed+"(HINT: "),
		raw("I01 trailing garbage", `{"model":"m","input":"x"} x`, nil, nil, unparsed+"(HINT: "),
		raw("I01 two texts", `{"model":"m","input":"x"}{}`, nil, nil, unparsed+"(HINT: "),
		raw("I01 tab in a string", "{\"model\":\"m\",\"input\":\"\t\"}", nil, nil, unparsed+"(HINT: "),
		raw("I01 NUL", "{\"model\":\"m\",\"input\":\"x\"\x00}", nil, nil, unparsed+"(HINT: "),
		raw("I01 NaN", `{"model":"m","input":"x","temperature":NaN}`, nil, nil, unparsed+"(HINT: "),
		raw("I01 no object", `[]`, nil, "invalid_type", "Invalid type for 'body': expected an object, but got an array instead."),
		raw("I02 deep arrays", `{"model":"m","input":`+strings.Repeat("[", 100_000), nil, nil, unparsed+"It is nested too deeply"),
		raw("I02 deep objects", strings.Repeat(`{"a":`, 100_000), nil, nil, unparsed+"It is nested too deeply"),
		raw("I04 invalid UTF-8", "{\"model\":\"m\",\"input\":\"\xff\"}", nil, nil, unparsed+"(HINT: "),
		raw("I04 byte order mark", "\ufeff{}", nil, nil, unparsed+"(HINT: "),
		raw("I07 model", `{"input":"x"}`, "model", "missing_required_parameter", "Missing required parameter: 'model'."),
		raw("I07 input", `{"model":"m"}`, "input", "missing_required_parameter", `One of "input" or "previous_response_id"`),

		ask("I08 input", 400, "input", "invalid_type", "Invalid type for 'input': expected one of a string or array of input items, but got an integer instead.", `"input":5`),
		ask("I08 stream", 400, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean, but got a string instead.", `"stream":"yes"`),
		ask("I08 deep inside", 400, "input[0].content[1].text", "invalid_type", "Invalid type for 'input[0].content[1].text': expected a string, but got a boolean instead.", `"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":true}]}]`),
		ask("I10 truncation", 400, "truncation", "invalid_value", "Invalid value: 'bogus'. Supported values are: 'auto' and 'disabled'.", `"truncation":"bogus"`),
		ask("I10 role", 400, "input[0].role", "invalid_value", "Invalid value: 'tool'. Supported values are: 'assistant', 'system', 'developer', and 'user'.", `"input":[{"role":"tool","content":"x"}]`),
		ask("I11 max_output_tokens", 400, "max_output_tokens", "integer_below_min_value", "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 15 instead.", `"max_output_tokens":15`),
		ask("I12 prompt_cache_key", 400, "prompt_cache_key", "string_above_max_length", "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, but got a string with length 65 instead.", `"prompt_cache_key":"`+strings.Repeat("k", 65)+`"`),
		ask("I12 metadata pairs", 400, "metadata", "object_above_max_properties", "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead.", `"metadata":{`+numbered(17, `"k%d":""`)+`}`),
		ask("I12 metadata value", 400, "metadata.a", "string_above_max_length", "Invalid 'metadata.a': string too long. Expected a string with maximum length 512", `"metadata":{"a":"`+strings.Repeat("v", 513)+`"}`),
		ask("I12 function name", 400, "tools[0].name", "string_above_max_length", "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64", `"tools":[{"type":"function","name":"`+strings.Repeat("f", 65)+`"}]`),
		ask("I13 tools", 400, "tools", "array_above_max_length", "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 129 instead.", `"tools":[`+numbered(129, `{"type":"function","name":"f%d"}`)+`]`),
		ask("I14 parameter", 400, "prompt", "unsupported_parameter", "Unsupported parameter: 'prompt' is not supported", `"prompt":{"id":"pmpt_1"}`),
		ask("I14 value", 400, "truncation", "unsupported_value", "Unsupported value: 'truncation': 'auto' is not supported with this model", `"truncation":"auto"`),
		ask("I15 format", 400, "text.format.schema", "invalid_json_schema", "Invalid schema for response_format 'n': In context=(), 'additionalProperties' is required to be supplied and to be false.", `"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object","properties":{}}}}`),
		ask("I15 format that is no schema", 400, "text.format.schema", "invalid_json_schema", "Invalid schema for response_format 'n': In context=('properties', 'a'), 'str' is not valid", `"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"a":{"type":"str"}}}}}`),
		ask("I15 function", 400, "tools[0].parameters", "invalid_function_parameters", `Invalid schema for function 'f': schema must be a JSON Schema of 'type: "object"', got 'type: "array"'.`, `"tools":[{"type":"function","name":"f","parameters":{"type":"array"}}]`),
		ask("I16 call without output", 400, "input", nil, "No tool output found for function call call_1.", `"input":[{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}]`),
		ask("I16 output without call", 400, "input", nil, "No tool call found for function call output with call_id call_1.", `"input":[{"type":"function_call_output","call_id":"call_1","output":"x"}]`),
		ask("I20 background without store", 400, "background", "unsupported_parameter", "Background responses are not supported when 'store' is false", `"background":true,"store":false`),
		ask("I27 tool of no type", 400, "tools[0].type", "missing_required_parameter", "Missing required parameter: 'tools[0].type'.", `"tools":[{"name":"f"}]`),
		ask("tool_choice of no tool", 400, "tool_choice", nil, "Tool choice 'g' not found in 'tools' parameter.", `"tool_choice":{"type":"function","name":"g"}`),
		ask("model that is not there", 404, "model", "model_not_found", "The model 'gpt-x' does not exist", `"model":"gpt-x"`),
	}
}

// badIDs are the rows about ids: I17 to I19, I21 and I22.
func badIDs() []refusal {
	var all []refusal
	ask := func(name string, status int, param, code any, message, fields string) {
		all = append(all, refusal{name, "POST", create, `{"model":"m","input":"x",` + fields + `}`, status, param, code, message})
	}
	for what, id := range map[string]string{"unknown": unknown, "malformed": "resp_1", "another tenant's": "{foreign}", "not stored": "{unstored}"} {
		missing := "Response with id '" + id + "' not found."
		ask("I17 previous "+what, 400, "previous_response_id", "previous_response_not_found",
			"Previous response with id '"+id+"' not found.", `"previous_response_id":"`+id+`"`)
		for _, route := range []string{"GET ", "DELETE ", "POST /cancel", "GET /input_items", "GET /steps", "GET ?stream=true"} {
			method, below, _ := strings.Cut(route, " ")
			all = append(all, refusal{"I21 " + what + " " + route, method, create + "/" + id + below, "", 404, nil, nil, missing})
		}
	}
	ask("I18 previous in flight", 400, "previous_response_id", "previous_response_not_ready", "Previous response with id '{queued}' is still queued.", `"previous_response_id":"{queued}"`)
	ask("I18 previous failed", 400, "previous_response_id", "previous_response_failed", "Previous response with id '{failed}' is failed", `"previous_response_id":"{failed}"`)
	ask("I18 previous cancelled", 400, "previous_response_id", "previous_response_failed", "Previous response with id '{cancelled}' is cancelled", `"previous_response_id":"{cancelled}"`)
	ask("I16 open call of a previous", 400, "input", nil, "No tool output found for function call c1.", `"previous_response_id":"{open}"`)
	ask("I16 output without call of a previous", 400, "input", nil, "No tool call found for function call output with call_id c2.", `"previous_response_id":"{completed}","input":[{"type":"function_call_output","call_id":"c2","output":"x"}]`)
	ask("I19 reference", 404, "input", nil, "Item with id 'rs_123' not found. Items are not persisted when `store` is set to false.", `"input":[{"type":"item_reference","id":"rs_123"}]`)
	ask("I20 mutually exclusive", 400, "previous_response_id", "mutually_exclusive_parameters", "Mutually exclusive parameters: 'previous_response_id' and 'conversation'.", `"previous_response_id":"{completed}","conversation":"conv_1"`)
	return append(
		all,
		refusal{"I21 cancel of a foreground response", "POST", create + "/{foreground}/cancel", "", 400, nil, nil, "Cannot cancel a synchronous response."},
		refusal{"I21 delete in flight", "DELETE", create + "/{queued}", "", 400, nil, "response_in_progress", "Cannot delete the response '{queued}': it is still queued."},
		refusal{"I22 not a number", "GET", create + "/{completed}?stream=true&starting_after=x", "", 400, "starting_after", "invalid_type", "Invalid type for 'starting_after': expected an integer"},
		refusal{"I22 negative", "GET", create + "/{completed}?stream=true&starting_after=-1", "", 400, "starting_after", "integer_below_min_value", "Invalid 'starting_after': integer below minimum value. Expected a value >= 0, but got -1 instead."},
		refusal{"I22 stream is no boolean", "GET", create + "/{completed}?stream=maybe", "", 400, "stream", "invalid_type", "Invalid type for 'stream': expected a boolean, but got 'maybe' instead."},
		refusal{"unknown route", "GET", "/v1/nothing", "", 404, nil, nil, "Invalid URL (GET /v1/nothing)"},
		refusal{"unclean path", "GET", "/v1//models", "", 404, nil, nil, "Invalid URL (GET /v1//models)"},
		refusal{"wrong method", "DELETE", create, "", 405, nil, "method_not_allowed", "Not allowed to DELETE on /v1/responses."},
	)
}

func numbered(n int, format string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	s := raise(t)
	ids := []string{
		"{foreign}", s.concluded(`"input":"x"`, store.Completed, ""), "{unstored}", s.unstored(),
		"{completed}", s.concluded(`"input":"x"`, store.Completed, ""), "{open}", s.concluded(`"input":"x"`, store.Completed, call),
		"{failed}", s.concluded(`"input":"x"`, store.Failed, ""), "{cancelled}", s.concluded(`"input":"x"`, store.Cancelled, ""),
		"{foreground}", s.concluded(`"input":"x"`, store.Completed, ""), "{queued}", "",
	}
	s.move(ids[1], `UPDATE requests SET tenant = 'other' WHERE id = $1`)
	s.move(ids[len(ids)-3], `UPDATE requests SET background = false WHERE id = $1`)
	ids[len(ids)-1] = s.background()
	fill := strings.NewReplacer(ids...).Replace
	t.Run("cases", func(t *testing.T) {
		for _, tt := range append(badBodies(), badIDs()...) {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				got := s.call(tt.method, fill(tt.path), fill(tt.body))
				f := got.fault(t)
				message, _ := f["message"].(string)
				if got.status != tt.status || f["param"] != tt.param || f["code"] != tt.code || f["type"] != "invalid_request_error" ||
					!strings.HasPrefix(message, fill(tt.message)) || len(f) != 4 {
					t.Errorf("answered %d %s, want %d, param %v, code %v, %q…", got.status, got.body, tt.status, tt.param, tt.code, fill(tt.message))
				}
				if got.header.Get("X-Request-Id") == "" || got.header.Get("Content-Type") != "application/json" {
					t.Errorf("answer lacks an id or its type: %v", got.header)
				}
			})
		}
	})
	if n := s.backlog(); n != 1 {
		t.Errorf("%d requests queued, want the one that is", n)
	}
}

// TestOddInputIsTaken: what is tolerated by decision, and what must not harm anything: I4, I5, I9 and I27.
func TestOddInputIsTaken(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, tt := range []struct{ name, fields, echo string }{
		{"I04 lone surrogate", `"instructions":"a\ud800b"`, "\"instructions\":\"a\uFFFDb\""},
		{"I05 NUL", `"instructions":"a\u0000b","metadata":{"k\u0000":"\u0000"}`, `"instructions":"a\u0000b"`},
		{"I09 unknown parameter", `"client_metadata":{"a":[1]},"x":"y"`, ``},
		{"I10 null for any", `"temperature":null,"tools":null,"text":null,"metadata":null,"reasoning":null,"stream":null`, `"temperature":1`},
		{"hints", `"prompt_cache_options":{"ttl":"30m"}`, `"prompt_cache_options":{"ttl":"30m"}`},
		{"I27 unknown tool type", `"tools":[{"type":"web_search","filters":{"a":[]}},{"type":"namespace","name":"n","description":"d","tools":[]}]`, `"tools":[{"type":"web_search","filters":{"a":[]}},{"type":"namespace","name":"n","description":"d","tools":[]}]`},
	} {
		got := s.call("POST", create, `{"model":"m","input":"x","background":true,`+tt.fields+`}`)
		if got.status != http.StatusOK || !bytes.Contains(got.body, []byte(tt.echo)) {
			t.Errorf("%s: answered %d %s, want 200 with %s", tt.name, got.status, got.body, tt.echo)
			continue
		}
		if again := s.call("GET", create+"/"+got.object(t)["id"].(string), ""); again.status != http.StatusOK {
			t.Errorf("%s: read again it answered %d %s", tt.name, again.status, again.body)
		}
	}
}

// TestBodiesThatAreNoJSON: I6, and the kinds of bodies that are taken.
func TestBodiesThatAreNoJSON(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, tt := range []struct {
		name, kind, encoding string
		status               int
	}{
		{"text", "text/plain", "", 415},
		{"a form", "application/x-www-form-urlencoded", "", 415},
		{"JSON of another kind", "application/problem+json", "", 415},
		{"a type that is none", ";;", "", 415},
		{"gzip", "application/json", "gzip", 415},
		{"two encodings", "application/json", "br, gzip", 415},
		{"with a charset", "application/json; charset=utf-8", "", 200},
		{"in capitals", "Application/JSON", "identity", 200},
		{"no type", "", "", 200},
	} {
		r := s.request(t.Context(), "POST", create, `{"model":"m","input":"x","background":true}`)
		r.Header.Set("Content-Type", tt.kind)
		if tt.kind == "" {
			r.Header.Del("Content-Type")
		}
		if tt.encoding != "" {
			r.Header.Set("Content-Encoding", tt.encoding)
		}
		got := s.send(r)
		if got.status != tt.status {
			t.Errorf("I06 %s: answered %d %s, want %d", tt.name, got.status, got.body, tt.status)
		}
		if got.status != http.StatusOK {
			if f := got.fault(t); f["type"] != "invalid_request_error" || f["code"] != "unsupported_media_type" || f["param"] != nil {
				t.Errorf("I06 %s: answered %s", tt.name, got.body)
			}
		}
	}
}
