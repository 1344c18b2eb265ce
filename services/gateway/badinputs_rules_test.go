package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
)

// badSchemas: I15. The rules of strict mode are those by which OpenAI refuses;
// of other schemas only what is no JSON Schema is.
func badSchemas() []bad {
	format := func(name, more, reason string) bad {
		return ask("format: "+name, `"text":{"format":{"type":"json_schema","name":"n",`+more+`}}`, "text.format.schema", "invalid_json_schema",
			"Invalid schema for response_format 'n': "+reason)
	}
	function := func(name, more, reason string) bad {
		return ask("function: "+name, `"tools":[{"type":"function","name":"e"},{"type":"function","name":"f",`+more+`}]`, "tools[1].parameters", "invalid_function_parameters",
			"Invalid schema for function 'f': "+reason)
	}
	sealed := func(property string) string {
		return `{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":` + property + `}}`
	}
	var all []bad
	for _, of := range []struct {
		make func(name, more, reason string) bad
		key  string
	}{{format, "schema"}, {function, "parameters"}} {
		strict := func(name, schema, reason string) bad {
			return of.make(name, `"strict":true,"`+of.key+`":`+schema, reason)
		}
		loose := func(name, schema, reason string) bad { return of.make(name, `"`+of.key+`":`+schema, reason) }
		const at = "In context=('properties', 'a'), "
		all = append(all,
			loose("a list", `{"type":"array"}`, `schema must be a JSON Schema of 'type: "object"', got 'type: "array"'.`),
			loose("an unknown type", `{"type":"object","properties":{"a":{"type":"str"}}}`, at+"'str' is not valid under any of the given schemas."),
			loose("a property that is no schema", `{"type":"object","properties":{"a":"string"}}`, at+`"string" is not of type 'object', 'boolean'.`),
			loose("required is no list", `{"type":"object","required":true}`, "In context=(), true is not a valid 'required'."),
			loose("a definition that is not there", `{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}}}`, at+"reference to component '#/$defs/x' which was not found in the schema."),
			strict("open", `{"type":"object","properties":{}}`, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
			strict("open inside", sealed(`{"type":"object","properties":{}}`), at+"'additionalProperties' is required to be supplied and to be false."),
			strict("optional", `{"type":"object","additionalProperties":false,"required":[],"properties":{"a":{"type":"string"}}}`, "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'."),
			strict("more required than there is", `{"type":"object","additionalProperties":false,"required":["a","b"],"properties":{"a":{"type":"string"}}}`, "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Extra required key 'b' supplied."),
			strict("no type", `{}`, `schema must be a JSON Schema of 'type: "object"', got 'type: "None"'.`),
			strict("a property of no type", sealed(`{"description":"any"}`), at+"schema must have a 'type' key."),
			strict("an array of anything", sealed(`{"type":"array"}`), at+"array schema missing items."),
			strict("allOf", sealed(`{"allOf":[{"type":"string"}]}`), at+"'allOf' is not permitted."),
			strict("oneOf", sealed(`{"type":"array","items":{"oneOf":[{"type":"string"}]}}`), "In context=('properties', 'a', 'items'), 'oneOf' is not permitted."),
			strict("if", sealed(`{"type":"string","if":{}}`), at+"'if' is not permitted."),
			strict("a choice at the top", `{"type":"object","additionalProperties":false,"anyOf":[{"type":"string"}]}`, "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."),
			strict("11 levels", nested(11), "11 levels of nesting exceeds limit of 10."),
			strict("1001 values", sealed(`{"type":"string","enum":[`+numbered(1001, `"%d"`)+`]}`), "Expected at most 1000 enum values in total within a schema when using structured outputs, but got 1001."),
			strict("5001 properties", `{"type":"object","additionalProperties":false,"required":[`+numbered(5001, `"%d"`)+`],"properties":{`+numbered(5001, `"%d":{"type":"string"}`)+`}}`, "Expected at most 5000 object properties total within a schema when using structured outputs, but got 5001."),
			strict("long names", sealed(`{"type":"string","enum":["`+strings.Repeat("x", 120_000)+`"]}`), "Expected at most 120000 characters in total"),
		)
	}
	const word = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
	object := `"text":{"format":{"type":"json_object"}}`
	return append(all,
		ask("json_object without the word", object, "input", nil, word),
		ask("json_object without the word in messages", object+`,"input":[{"role":"user","content":"x"}]`, "input", nil, word),
		acceptCase("json_object with the word", object+`,"input":"as JSON, please"`, `"json_object"`, "a model that is not told writes blanks without end"),
		acceptCase("json_object with the word in the instructions", object+`,"instructions":"Answer in Json."`, `"json_object"`, "OpenAI looks into the input only; the model sees both"),
		acceptCase("json_object in a continuation", object+`,"previous_response_id":"{completed}"`, `"json_object"`, "the word may be in the history"),
		acceptCase("10 levels, strict", `"text":{"format":{"type":"json_schema","name":"n","strict":true,"schema":`+nested(10)+`}}`, `"json_schema"`, "they are the limit"),
		acceptCase("open, loose", `"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","properties":{"a":{"oneOf":[{}]}}}}}`, `"json_schema"`, "strict is false if not given"),
		acceptCase("open, a loose function", `"tools":[{"type":"function","name":"f","strict":false,"parameters":{"type":"object","properties":{"a":{}}}}]`, `"strict":false`, "nobody asked for more"),
	)
}

// nested is a strict schema of objects inside of objects.
func nested(levels int) string {
	schema := `{"type":"string"}`
	for range levels {
		schema = `{"type":"object","additionalProperties":false,"required":["a"],"properties":{"a":` + schema + `}}`
	}
	return schema
}

// unsupportedByModel: I14, what is known before a model is asked. What its
// upstream refuses comes back as it said it: see
// [TestACallThatFailedIsAnHTTPError] and package behaviour.
func unsupportedByModel() []bad {
	value := func(path, what, fields string) bad {
		return ask(path, fields, path, "unsupported_value", "Unsupported value: '"+path+"': "+what)
	}
	parameter := func(path, why, fields string) bad {
		return ask(path, fields, path, "unsupported_parameter", "Unsupported parameter: '"+path+"' is not supported by this server: "+why)
	}
	return []bad{
		value("truncation", "'auto' is not supported with this model", `"truncation":"auto"`),
		value("reasoning.mode", "'pro' is not supported with this model.", `"reasoning":{"mode":"pro"}`),
		value("reasoning.context", "'all_turns' is not supported with this model", `"reasoning":{"context":"all_turns"}`),
		value("input[0]", "an item of the type 'computer_call' is not supported with this model.", `"input":[{"type":"computer_call"}]`),
		value("input[0].content[0]", "content of the type 'input_audio' is not supported with this model.", `"input":[{"role":"user","content":[{"type":"input_audio"}]}]`),
		parameter("prompt", "there are no stored prompts.", `"prompt":{"id":"pmpt_1"}`),
		ask("no threshold", `"context_management":[{"type":"compaction"}]`, "context_management[0].compact_threshold", "missing_required_parameter", "Missing required parameter: 'context_management[0].compact_threshold'."),
		ask("no entries", `"context_management":{"type":"compaction"}`, "context_management", "invalid_type", "Invalid type for 'context_management': expected an array"),
		ask("another entry", `"context_management":[{"type":"truncation"}]`, "context_management[0].type", "invalid_value", "Invalid value: 'truncation'. Supported values are: 'compaction'."),
		ask("a low threshold", `"context_management":[{"type":"compaction","compact_threshold":5000},{"type":"compaction","compact_threshold":999}]`, "context_management[1].compact_threshold", "integer_below_min_value", "Invalid 'context_management[1].compact_threshold': integer below minimum value."),
		ask("a trigger before the end", `"input":[{"type":"compaction_trigger"},{"role":"user","content":"x"}]`, "input[0]", "invalid_value", "Invalid value: 'input[0]' of the type 'compaction_trigger' must be the final input item."),
		parameter("moderation", "nothing is moderated here.", `"moderation":{"model":"m"}`),
		parameter("multi_agent", "there are no sub-agents.", `"multi_agent":{"enabled":true}`),
		parameter("access_programs", "there are no access programs.", `"access_programs":{"cyber":"daybreak_red"}`),
		parameter("prompt_cache_options.prewarm", "every request is answered.", `"prompt_cache_options":{"prewarm":true}`),
		ask("generate", `"generate":false`, "generate", "unsupported_parameter", "Unsupported parameter: 'generate' is for WebSocket connections."),
		acceptCase("hints", `"prompt_cache_options":{"ttl":"30m"},"prompt_cache_retention":"24h","context_management":[]`, `"prompt_cache_options":{"ttl":"30m"}`, "they change no answer"),
	}
}

// unpairedCalls: I16, in a request and over its history.
func unpairedCalls() []bad {
	noOutput := func(name, call, fields string) bad {
		return ask(name, fields, "input", nil, "No tool output found for function call "+call+".")
	}
	noCall := func(name, call, fields string) bad {
		return ask(name, fields, "input", nil, "No tool call found for function call output with call_id "+call+".")
	}
	const called, answered = `{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}`, `{"type":"function_call_output","call_id":"call_1","output":"x"}`
	input := func(items ...string) string { return `"input":[` + strings.Join(items, ",") + `]` }
	after := func(id string, items ...string) string {
		return `"previous_response_id":"{` + id + `}",` + input(items...)
	}
	hi := `{"role":"user","content":"x"}`
	return []bad{
		noOutput("a call", "call_1", input(called)),
		noOutput("a call that is answered and made again", "call_1", input(called, answered, called)),
		noCall("an output", "call_1", input(answered)),
		noCall("an output before its call", "call_1", input(answered, called)),
		noOutput("an open call of what came before", "c1", `"previous_response_id":"{open}"`),
		noOutput("an open call, passed over", "c1", after("open", hi)),
		noCall("an output for nothing before", "c2", after("completed", strings.Replace(answered, "call_1", "c2", 1))),
		noCall("an output for another call", "c2", after("open", strings.Replace(answered, "call_1", "c1", 1), strings.Replace(answered, "call_1", "c2", 1))),
		noOutput("a call of its own, behind a history", "call_1", after("completed", called)),
		noOutput("a long call id", strings.Repeat("c", 64)+"...", input(strings.Replace(called, "call_1", strings.Repeat("c", 1000), 1))),
		acceptCase("a pair", input(called, answered), ``, "it is whole"),
		acceptCase("an open call, answered behind a message", after("open", hi, strings.Replace(answered, "call_1", "c1", 1)), ``, "it is whole with its history"),
		acceptCase("an open call, answered", after("open", strings.Replace(answered, "call_1", "c1", 1)), ``, "it is whole with its history"),
	}
}

func exclusiveParameters() []bad {
	return []bad{
		ask("background without store", `"background":true,"store":false`, "background", "unsupported_parameter", "Background responses are not supported when 'store' is false: background=true requires store=true."),
		ask("a stream of it", `"background":true,"store":false,"stream":true`, "background", "unsupported_parameter", "Background responses are not supported when 'store' is false"),
		ask("a previous response and a conversation", `"previous_response_id":"{completed}","conversation":"{conversation}"`, "previous_response_id", "mutually_exclusive_parameters", "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."),
		acceptCase("neither", `"store":true`, `"store":true`, "they go together"),
	}
}

// TestWhatTheUpstreamRefuses: I14, the other half. What an upstream has against
// a parameter has its own message.
func TestWhatTheUpstreamRefuses(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, own := range []string{
		`{"message":"Unsupported parameter: 'temperature' is not supported with this model.","type":"invalid_request_error","param":"temperature","code":null}`,
		`{"message":"Unsupported value: 'reasoning.effort' does not support 'none' with this model.","type":"invalid_request_error","param":"reasoning.effort","code":"unsupported_value"}`,
	} {
		answers := s.later("POST", chatPath, fmt.Sprintf(`{"model":"m","messages":[{}],"temperature":%d}`, len(own)))
		s.end(s.claim(), failedCall(run.Failure{Code: "invalid_prompt", HTTPStatus: 400, Own: []byte(own)}))
		got := receive(t, answers)
		same(t, "the answer", got.body, `{"error":`+own+`}`)
		if got.status != http.StatusBadRequest {
			t.Errorf("answered %d, want the upstream's 400", got.status)
		}
	}
}
