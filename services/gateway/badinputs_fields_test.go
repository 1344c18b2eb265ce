package gateway

import (
	"fmt"
	"net/http"
	"strings"
)

func missingParameters() []bad {
	absent := func(path, fields string) bad {
		return ask(path, fields, path, "missing_required_parameter", "Missing required parameter: '"+path+"'.")
	}
	raw := func(name, body, param, message string) bad {
		return bad{name: name, body: body, param: param, code: "missing_required_parameter", message: message}
	}
	const noInput = `One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.`
	all := []bad{
		raw("model", `{"input":"x"}`, "model", "Missing required parameter: 'model'."),
		raw("null for a model", `{"input":"x","model":null}`, "model", "Missing required parameter: 'model'."),
		raw("an empty model", `{"input":"x","model":""}`, "model", "Missing required parameter: 'model'."),
		raw("an empty object", `{}`, "model", "Missing required parameter: 'model'."),
		raw("input", `{"model":"m"}`, "input", noInput),
		raw("null for an input", `{"model":"m","input":null}`, "input", noInput),
		absent("input[0].role", `"input":[{"content":"x"}]`),
		absent("input[1].content", `"input":[{"role":"user","content":"x"},{"role":"user"}]`),
		absent("input[0].content[0].type", `"input":[{"role":"user","content":[{"text":"x"}]}]`),
		absent("input[0].content[0].text", `"input":[{"role":"user","content":[{"type":"input_text"}]}]`),
		absent("input[0].call_id", `"input":[{"type":"function_call","name":"f","arguments":"{}"}]`),
		absent("input[0].name", `"input":[{"type":"function_call","call_id":"c","arguments":"{}"}]`),
		absent("input[0].output", `"input":[{"type":"function_call_output","call_id":"c"}]`),
		absent("input[0].id", `"input":[{"type":"item_reference"}]`),
		absent("tools[0].name", `"tools":[{"type":"function","function":{"name":"f"}}]`),
		absent("tool_choice.type", `"tool_choice":{"name":"f"}`),
		absent("tool_choice.name", `"tool_choice":{"type":"function"}`),
		absent("text.format.type", `"text":{"format":{"name":"n"}}`),
		absent("text.format.name", `"text":{"format":{"type":"json_schema","schema":{}}}`),
		absent("text.format.schema", `"text":{"format":{"type":"json_schema","name":"n"}}`),
		absent("conversation.id", `"conversation":{}`),
	}
	for path, body := range map[string]string{
		chatPath: `{"messages":[{}]}`, "/v1/embeddings": `{"input":"x"}`, "/v1/completions": `{"prompt":"x"}`,
	} {
		b := raw("model of "+path, body, "model", "Missing required parameter: 'model'.")
		b.path = path
		all = append(all, b)
	}
	return append(all,
		bad{name: "messages", path: chatPath, body: `{"model":"m"}`, param: "messages", code: "missing_required_parameter", message: "Missing required parameter: 'messages'."},
		bad{name: "input of embeddings", path: "/v1/embeddings", body: `{"model":"m"}`, param: "input", code: "missing_required_parameter"},
		bad{name: "items", path: "/v1/conversations/{conversation}/items", body: `{}`, param: "items", code: "missing_required_parameter", message: "Missing required parameter: 'items'."},
		acceptCase("null for what is optional", `"temperature":null,"tools":null,"text":null,"metadata":null,"reasoning":null,"stream":null,"include":null`, `"temperature":1`, "a null is an absent field"),
	)
}

func wrongTypes() []bad {
	wrong := func(path, want, got, fields string) bad {
		return ask(path+" "+got, fields, path, "invalid_type", fmt.Sprintf("Invalid type for '%s': expected %s, but got %s instead.", path, want, got))
	}
	all := []bad{
		wrong("input", "one of a string or array of input items", "an integer", `"input":5`),
		wrong("input", "one of a string or array of input items", "an object", `"input":{}`),
		wrong("stream", "a boolean", "a string", `"stream":"yes"`),
		wrong("background", "a boolean", "an integer", `"background":1`),
		wrong("store", "a boolean", "a string", `"store":"false"`),
		wrong("model", "a string", "an array", `"model":["m"]`),
		wrong("instructions", "a string", "an object", `"instructions":{}`),
		wrong("max_output_tokens", "an integer", "a decimal number", `"max_output_tokens":20.5`),
		wrong("max_output_tokens", "an integer", "a string", `"max_output_tokens":"20"`),
		wrong("temperature", "a decimal number", "a string", `"temperature":"hot"`),
		wrong("tools", "an array", "an object", `"tools":{}`),
		wrong("tools[0]", "an object", "a string", `"tools":["f"]`),
		wrong("tools[0].parameters", "an object", "a string", `"tools":[{"type":"function","name":"f","parameters":"x"}]`),
		wrong("tools[1].strict", "a boolean", "a string", `"tools":[{"type":"function","name":"f"},{"type":"function","name":"g","strict":"yes"}]`),
		wrong("tool_choice", "one of a string or object", "an integer", `"tool_choice":1`),
		wrong("tool_choice.tools[1]", "an object", "an integer", `"tool_choice":{"type":"allowed_tools","tools":[{"type":"function","name":"a"},5]}`),
		wrong("metadata", "an object", "an array", `"metadata":[]`),
		wrong("metadata.a", "a string", "an integer", `"metadata":{"a":1}`),
		wrong("metadata.a", "a string", "null", `"metadata":{"a":null}`),
		wrong("include", "an array", "a string", `"include":"x"`),
		wrong("include[0]", "a string", "an integer", `"include":[1]`),
		wrong("text", "an object", "a string", `"text":"json"`),
		wrong("text.format", "an object", "a string", `"text":{"format":"json_object"}`),
		wrong("text.format.schema", "an object", "a string", `"text":{"format":{"type":"json_schema","name":"n","schema":"x"}}`),
		wrong("reasoning", "an object", "a string", `"reasoning":"high"`),
		wrong("reasoning.effort", "a string", "an integer", `"reasoning":{"effort":1}`),
		wrong("stream_options.include_obfuscation", "a boolean", "an integer", `"stream_options":{"include_obfuscation":1}`),
		wrong("conversation", "one of a string or object", "an integer", `"conversation":1`),
		wrong("input[0]", "an object", "a string", `"input":["x"]`),
		wrong("input[0].type", "a string", "an integer", `"input":[{"type":1}]`),
		wrong("input[0].content", "one of an array of objects or string", "null", `"input":[{"role":"user","content":null}]`),
		wrong("input[0].content[0]", "an object", "a string", `"input":[{"role":"user","content":["x"]}]`),
		wrong("input[0].content[1].text", "a string", "a boolean", `"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_text","text":true}]}]`),
		wrong("input[0].content[0].image_url", "a string", "an object", `"input":[{"role":"user","content":[{"type":"input_image","image_url":{"url":"x"}}]}]`),
		wrong("input[0].output", "one of an array of objects or string", "an object", `"input":[{"type":"function_call_output","call_id":"c","output":{}}]`),
		wrong("input[0].call_id", "a string", "an integer", `"input":[{"type":"function_call","call_id":7,"name":"f","arguments":"{}"}]`),
		wrong("input[0].arguments", "a string", "an object", `"input":[{"type":"function_call","call_id":"c","name":"f","arguments":{}}]`),
	}
	return append(all,
		bad{name: "messages", path: chatPath, body: `{"model":"m","messages":{}}`, param: "messages", code: "invalid_type", message: "Invalid type for 'messages': expected an array of objects, but got an object instead."},
		bad{name: "a message", path: chatPath, body: `{"model":"m","messages":[{},1]}`, param: "messages[1]", code: "invalid_type", message: "Invalid type for 'messages[1]': expected an object, but got an integer instead."},
		bad{name: "stream of a chat", path: chatPath, body: `{"model":"m","messages":[{}],"stream":"true"}`, param: "stream", code: "invalid_type", message: "Invalid type for 'stream': expected a boolean, but got a string instead."},
		bad{name: "stream options of a chat", path: chatPath, body: `{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":1}}`, param: "stream_options.include_usage", code: "invalid_type"},
		bad{name: "input of embeddings", path: "/v1/embeddings", body: `{"model":"m","input":true}`, param: "input", code: "invalid_type"},
		bad{name: "a prompt", path: "/v1/completions", body: `{"model":"m","prompt":1}`, param: "prompt", code: "invalid_type"},
		bad{name: "items", path: "/v1/conversations/{conversation}/items", body: `{"items":{}}`, param: "items", code: "invalid_type", message: "Invalid type for 'items': expected an array, but got an object instead."},
		bad{name: "stream in a query", method: "GET", path: create + "/{completed}?stream=maybe", param: "stream", code: "invalid_type", message: "Invalid type for 'stream': expected a boolean, but got 'maybe' instead."},
		bad{name: "limit in a query", method: "GET", path: create + "/{completed}/input_items?limit=x", param: "limit", code: "invalid_type", message: "Invalid type for 'limit': expected an integer, but got 'x' instead."},
	)
}

func unknownParameters() []bad {
	const why = "clients send fields that are newer than their server, Codex its client_metadata, and a 400 for one shuts them out"
	return []bad{
		acceptCase("of an agent", `"client_metadata":{"a":[1]}`, ``, why),
		acceptCase("unknown", `"x":"y"`, ``, why),
		acceptCase("inside of a parameter", `"reasoning":{"depth":3},"text":{"x":1},"stream_options":{"y":2}`, ``, why),
		acceptCase("inside of an item", `"input":[{"role":"user","content":"x","phase":"final"}]`, ``, why),
		acceptCase("inside of a tool", `"tools":[{"type":"function","name":"f","defer_loading":true}]`, `"defer_loading":true`, why),
		{name: "in a query", method: "GET", path: "/v1/models?x=y", status: http.StatusOK, why: why},
		{name: "of a conversation", path: "/v1/conversations", body: `{"x":1}`, status: http.StatusOK, echo: `"object":"conversation"`, why: why},
		// What is known and would be lost is no unknown parameter.
		ask("known, and not there", `"prompt":{"id":"pmpt_1"}`, "prompt", "unsupported_parameter", "Unsupported parameter: 'prompt' is not supported by this server: there are no stored prompts."),
	}
}

func wrongValues() []bad {
	bogus := func(path, value, supported, fields string) bad {
		return ask(path, fields, path, "invalid_value", "Invalid value: '"+value+"'. Supported values are: "+supported)
	}
	return []bad{
		bogus("truncation", "bogus", "'auto' and 'disabled'.", `"truncation":"bogus"`),
		bogus("service_tier", "gold", "'auto', 'default', 'flex', ", `"service_tier":"gold"`),
		bogus("tool_choice", "maybe", "'none', 'auto', and 'required'.", `"tool_choice":"maybe"`),
		bogus("tool_choice.mode", "any", "'auto', 'required', and 'none'.", `"tool_choice":{"type":"allowed_tools","mode":"any","tools":[]}`),
		bogus("reasoning.effort", "huge", "'none', 'minimal', 'low', ", `"reasoning":{"effort":"huge"}`),
		bogus("reasoning.summary", "long", "'auto', 'concise', and 'detailed'.", `"reasoning":{"summary":"long"}`),
		bogus("reasoning.mode", "hasty", "'standard' and 'pro'.", `"reasoning":{"mode":"hasty"}`),
		bogus("text.verbosity", "chatty", "'low', 'medium', and 'high'.", `"text":{"verbosity":"chatty"}`),
		bogus("text.format.type", "xml", "'json_object', 'json_schema', and 'text'.", `"text":{"format":{"type":"xml"}}`),
		bogus("include[1]", "all", "'file_search_call.results', ", `"include":["reasoning.encrypted_content","all"]`),
		bogus("prompt_cache_retention", "1y", "'in_memory' and '24h'.", `"prompt_cache_retention":"1y"`),
		bogus("input[0].role", "tool", "'assistant', 'system', 'developer', and 'user'.", `"input":[{"role":"tool","content":"x"}]`),
		bogus("input[0].content[0].type", "image_url", "'input_text', 'input_image', ", `"input":[{"role":"user","content":[{"type":"image_url","text":"x"}]}]`),
		bogus("input[0].content[0].detail", "most", "'low', 'high', ", `"input":[{"role":"user","content":[{"type":"input_image","image_url":"https://x.test/a.png","detail":"most"}]}]`),
		bogus("service_tier", strings.Repeat("é", 64)+"...", "", `"service_tier":"`+strings.Repeat("é", 1000)+`"`),
		ask("tools[0].name", `"tools":[{"type":"function","name":"a b"}]`, "tools[0].name", "invalid_value",
			"Invalid 'tools[0].name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."),
		ask("conversation", `"conversation":"resp_1"`, "conversation", "invalid_value", "Invalid 'conversation': 'resp_1'. Expected an ID that begins with 'conv'."),
		ask("a tool_choice of no tool", `"tool_choice":{"type":"function","name":"g"}`, "tool_choice", nil, "Tool choice 'g' not found in 'tools' parameter."),
		ask("required without tools", `"tool_choice":"required"`, "tool_choice", nil, "Tool choice 'required' must be specified with 'tools' parameter."),
		ask("model", `"model":"gpt-x"`, "model", "model_not_found", "The model 'gpt-x' does not exist").as(http.StatusNotFound),
		{name: "model of a chat", path: chatPath, body: `{"model":"gpt-x","messages":[{}]}`, status: http.StatusNotFound, param: "model", code: "model_not_found"},
		{name: "model of a chat that is streamed", path: chatPath, body: `{"model":"gpt-x","messages":[{}],"stream":true}`, status: http.StatusNotFound, param: "model", code: "model_not_found"},
		{name: "model of embeddings", path: "/v1/embeddings", body: `{"model":"gpt-x","input":"x"}`, status: http.StatusNotFound, param: "model", code: "model_not_found"},
		{name: "order", method: "GET", path: create + "/{completed}/input_items?order=up", param: "order", code: "invalid_value", message: "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."},
		{name: "a route", method: "GET", path: "/v1/nothing", status: http.StatusNotFound, message: "Invalid URL (GET /v1/nothing)"},
		{name: "an unclean path", method: "GET", path: "/v1//models", status: http.StatusNotFound, message: "Invalid URL (GET /v1//models)"},
		{name: "a method", method: "DELETE", path: create, status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "Not allowed to DELETE on /v1/responses.", headers: []string{"Allow: GET, POST"}},
		{name: "a method of a chat", method: "GET", path: chatPath, status: http.StatusMethodNotAllowed, code: "method_not_allowed", headers: []string{"Allow: POST"}},
	}
}

func numbersOutOfRange() []bad {
	below := func(path, least, got, kind string) bad {
		return ask(path+" "+got, `"`+path+`":`+got, path, kind+"_below_min_value",
			fmt.Sprintf("Invalid '%s': %s below minimum value. Expected a value >= %s, but got %s instead.", path, kind, least, got))
	}
	above := func(path, most, got, kind string) bad {
		return ask(path+" "+got, `"`+path+`":`+got, path, kind+"_above_max_value",
			fmt.Sprintf("Invalid '%s': %s above maximum value. Expected a value <= %s, but got %s instead.", path, kind, most, got))
	}
	return []bad{
		below("max_output_tokens", "16", "15", "integer"),
		below("max_output_tokens", "16", "0", "integer"),
		below("max_output_tokens", "16", "-99999999999999999999", "integer"),
		above("max_output_tokens", "2147483647", "99999999999999999999", "integer"),
		below("max_tool_calls", "1", "0", "integer"),
		below("top_logprobs", "0", "-1", "integer"),
		above("top_logprobs", "20", "21", "integer"),
		above("temperature", "2", "2.01", "decimal"),
		above("temperature", "2", "1e999", "decimal"),
		below("temperature", "0", "-1", "decimal"),
		below("top_p", "0", "-0.1", "decimal"),
		above("top_p", "1", "1.5", "decimal"),
		above("presence_penalty", "2", "3", "decimal"),
		below("frequency_penalty", "-2", "-3", "decimal"),
		{name: "limit 0", method: "GET", path: create + "/{completed}/input_items?limit=0", param: "limit", code: "integer_below_min_value", message: "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead."},
		{name: "limit 101", method: "GET", path: create + "/{completed}/input_items?limit=101", param: "limit", code: "integer_above_max_value", message: "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 101 instead."},
		acceptCase("the limits themselves", `"max_output_tokens":16,"max_tool_calls":1,"temperature":2,"top_p":0,"top_logprobs":20`, `"max_output_tokens":16`, "they are within"),
	}
}

func tooLong() []bad {
	long := func(path string, most, got int, fields string) bad {
		return ask(path, fields, path, "string_above_max_length", fmt.Sprintf(
			"Invalid '%s': string too long. Expected a string with maximum length %d, but got a string with length %d instead.", path, most, got))
	}
	empty := func(path, fields string) bad {
		return ask("empty "+path, fields, path, "empty_string", "Invalid '"+path+"': empty string. Expected a string with minimum length 1, but got an empty string instead.")
	}
	called := func(id, name string) string {
		return `{"type":"function_call","call_id":"` + id + `","name":"` + name + `","arguments":""},{"type":"function_call_output","call_id":"` + id + `","output":""}`
	}
	e := func(n int) string { return strings.Repeat("é", n) }
	return []bad{
		long("prompt_cache_key", 64, 65, `"prompt_cache_key":"`+e(65)+`"`),
		long("safety_identifier", 128, 129, `"safety_identifier":"`+e(129)+`"`),
		long("metadata.a", 512, 513, `"metadata":{"a":"`+e(513)+`"}`),
		long("tools[0].name", 64, 65, `"tools":[{"type":"function","name":"`+strings.Repeat("f", 65)+`"}]`),
		long("text.format.name", 64, 65, `"text":{"format":{"type":"json_schema","name":"`+strings.Repeat("f", 65)+`","schema":{"type":"object"}}}`),
		long("conversation", 64, 65, `"conversation":"conv_`+strings.Repeat("x", 60)+`"`),
		ask("metadata pairs", `"metadata":{`+numbered(17, `"k%d":""`)+`}`, "metadata", "object_above_max_properties",
			"Invalid 'metadata': too many properties. Expected an object with at most 16 properties, but got an object with 17 properties instead."),
		ask("metadata key", `"metadata":{"`+e(65)+`":""}`, "metadata", "property_name_above_max_length",
			"Invalid property name in 'metadata': '"+e(64)+"...' is too long. Expected a string with maximum length 64, but got a string with length 65 instead."),
		{name: "metadata of a conversation", path: "/v1/conversations/{conversation}", body: `{"metadata":{"a":"` + e(513) + `"}}`, param: "metadata.a", code: "string_above_max_length", message: "Invalid 'metadata.a': string too long."},
		long("input[0].call_id", 64, 65, `"input":[`+called(e(65), "f")+`]`),
		long("input[1].call_id", 64, 65, `"previous_response_id":"{open}","input":[{"type":"function_call_output","call_id":"c1","output":""},{"type":"function_call_output","call_id":"`+e(65)+`","output":""}]`),
		empty("input[0].call_id", `"input":[`+called("", "f")+`]`),
		empty("input[0].name", `"input":[`+called("c", "")+`]`),
		empty("tools[0].name", `"tools":[{"type":"function","name":""}]`),
		acceptCase("as long as can be", `"prompt_cache_key":"`+e(64)+`","safety_identifier":"`+e(128)+`","metadata":{"`+e(64)+`":"`+e(512)+`",`+numbered(15, `"k%d":""`)+`}`,
			`"prompt_cache_key":"`+e(64)+`"`, "characters count, not bytes"),
	}
}

func longArrays() []bad {
	long := func(path string, most, got int) string {
		return fmt.Sprintf("Invalid '%s': array too long. Expected an array with maximum length %d, but got an array with length %d instead.", path, most, got)
	}
	return []bad{
		ask("tools", `"tools":[`+numbered(129, `{"type":"function","name":"f%d"}`)+`]`, "tools", "array_above_max_length", long("tools", 128, 129)),
		ask("allowed tools", `"tool_choice":{"type":"allowed_tools","tools":[`+numbered(129, `{"type":"function","name":"f%d"}`)+`]}`, "tool_choice.tools", "array_above_max_length", long("tool_choice.tools", 128, 129)),
		ask("references", `"input":[`+numbered(501, `{"type":"item_reference","id":"msg_%d"}`)+`]`, "input", "array_above_max_length", "Too many items are referred to by their ids: at most 500 are allowed, but got 501."),
		{name: "items of a conversation", path: "/v1/conversations/{conversation}/items", body: `{"items":[` + numbered(21, `{"role":"user","content":"%d"}`) + `]}`, param: "items", code: "array_above_max_length", message: long("items", 20, 21)},
		{name: "no items", path: "/v1/conversations/{conversation}/items", body: `{"items":[]}`, param: "items", code: "empty_array", message: "Invalid 'items': empty array."},
		{name: "no messages", path: chatPath, body: `{"model":"m","messages":[]}`, param: "messages", code: "empty_array"},
		ask("items without end, the first of them bad", `"input":[`+strings.Repeat("{},", 100_000)+`{}]`, "input[0].role", "missing_required_parameter", "Missing required parameter: 'input[0].role'."),
		acceptCase("128 tools", `"tools":[`+numbered(128, `{"type":"function","name":"f%d"}`)+`]`, `"name":"f127"`, "they are the limit"),
	}
}

func unknownTools() []bad {
	const why = "agents offer what their server may not have: unknown types are kept, echoed and not offered to the model"
	const tools = `"tools":[{"type":"web_search","filters":{"a":[]}},{"type":"namespace","name":"n","description":"d","tools":[]},{"type":"acme:thing"}]`
	return []bad{
		acceptCase("unknown types", tools, tools, why),
		acceptCase("an unknown one", `"tools":[{"type":"teleport","to":"moon"}]`, `"tools":[{"type":"teleport","to":"moon"}]`, why),
		ask("no type", `"tools":[{"name":"f"}]`, "tools[0].type", "missing_required_parameter", "Missing required parameter: 'tools[0].type'."),
		ask("a type that is no string", `"tools":[{"type":["function"]}]`, "tools[0].type", "invalid_type", "Invalid type for 'tools[0].type': expected a string, but got an array instead."),
		ask("an unknown type demanded", `"tools":[{"type":"teleport"}],"tool_choice":{"type":"teleport"}`, "tool_choice", "unsupported_value", "Tool choice 'teleport' is not possible"),
		ask("only unknown types, one required", `"tools":[{"type":"teleport"}],"tool_choice":"required"`, "tool_choice", "unsupported_value", "Tool choice 'required' is not possible"),
		ask("another MCP server", `"tools":[{"type":"mcp","server_label":"x","server_url":"https://x.test"}]`, "tools[0].server_label", "invalid_value", `The MCP server "x" is not available here.`),
		ask("a registered tool that does not exist", `"tools":[{"type":"mcp","server_label":"windlass","allowed_tools":["x"]}]`, "tools[0].allowed_tools", "invalid_value", `The tool "x" is not available here.`),
	}
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
