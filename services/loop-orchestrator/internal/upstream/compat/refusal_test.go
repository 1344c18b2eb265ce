package compat

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// full has everything that Windlass sends in a chat completion.
const full = `{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"hi"},` +
	`{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"call_1","type":"function","extra_content":{},"function":{"name":"f","arguments":"{}"}}]},` +
	`{"role":"tool","tool_call_id":"call_1","content":"42"}],"tools":[{"type":"function","function":{"name":"f","parameters":{},"strict":true}}],` +
	`"tool_choice":"auto","parallel_tool_calls":true,"temperature":0.5,"max_tokens":100,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{},"strict":true}},` +
	`"reasoning_effort":"low","verbosity":"low","service_tier":"flex","user":"u","safety_identifier":"s","prompt_cache_key":"k","stream":true,"stream_options":{"include_usage":true}}`

// fullResponse is the same for the Responses API.
const fullResponse = `{"model":"m","instructions":"Be brief.","input":[{"type":"message","role":"developer","content":"Be kind."}],"store":false,` +
	`"include":["reasoning.encrypted_content","message.output_text.logprobs"],"tools":[{"type":"function","name":"f","parameters":{},"strict":false}],` +
	`"parallel_tool_calls":true,"max_output_tokens":16,"text":{"format":{"type":"json_schema","name":"n","schema":{},"strict":true},"verbosity":"low"},` +
	`"prompt_cache_key":"k","truncation":"disabled"}`

func changed(kind Kind, name string) []Change { return []Change{{kind, name}} }

// The wordings are those of the servers named.
func TestRefusals(t *testing.T) {
	t.Parallel()
	noStream := changed(Omit, "stream_options")
	completion := changed(Bound, "max_completion_tokens")
	for name, tt := range map[string]struct {
		status int
		answer string
		want   []Change
	}{
		"OpenAI, unknown": {400, `{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error","param":"stream_options","code":"unknown_parameter"}}`, noStream},
		"OpenAI, by code": {400, `{"error":{"message":"No.","param":"prompt_cache_key","code":"unsupported_parameter"}}`, changed(Omit, "prompt_cache_key")},
		"OpenAI, another name": {
			400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}`, completion,
		},
		"Copilot, another name":  {400, `{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","code":"invalid_request_body"}}`, completion},
		"Azure":                  {400, `{"error":{"message":"Unrecognized request argument supplied: parallel_tool_calls","type":"invalid_request_error","param":null,"code":null}}`, changed(Omit, "parallel_tool_calls")},
		"Azure, several":         {400, `{"error":{"message":"Unrecognized request arguments supplied: user, prompt_cache_key","param":null}}`, []Change{{Omit, "user"}, {Omit, "prompt_cache_key"}}},
		"Azure with an address":  {400, `{"error":{"message":"Unrecognized request argument supplied: stream_options. Please contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 for further questions.","param":""}}`, noStream},
		"FastAPI":                {422, `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{}}]}`, noStream},
		"FastAPI, nested":        {422, `{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]}`, noStream},
		"FastAPI, the bound":     {422, `{"detail":[{"type":"extra_forbidden","loc":["body","max_tokens"],"msg":"Extra inputs are not permitted","input":100}]}`, completion},
		"FastAPI, old":           {422, `{"detail":[{"loc":["body","user"],"msg":"extra fields not permitted","type":"value_error.extra"}]}`, changed(Omit, "user")},
		"FastAPI, several":       {422, `{"detail":[{"type":"extra_forbidden","loc":["body","user"],"msg":""},{"type":"extra_forbidden","loc":["body","verbosity"],"msg":""},{"type":"missing","loc":["body","x"],"msg":"Field required"}]}`, []Change{{Omit, "user"}, {Omit, "verbosity"}}},
		"Mistral":                {422, `{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true}]},"type":"invalid_request_error"}`, noStream},
		"Mistral, JSON in text":  {422, `{"object":"error","message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",\"user\"],\"msg\":\"Extra inputs are not permitted\",\"input\":0.0}]}","type":"internal_error_proxy","code":"1000"}`, changed(Omit, "user")},
		"Mistral, message":       {422, `{"detail":[{"type":"extra_forbidden","loc":["body","messages",2,"assistant","reasoning_content"],"msg":"Extra inputs are not permitted","input":"hm"}]}`, changed(OmitInItems, "reasoning_content")},
		"Mistral, message list":  {422, `{"message":[{"type":"extra_forbidden","loc":["body","messages",2,"assistant","reasoning_content"],"msg":""},{"type":"extra_forbidden","loc":["body","messages",2,"assistant","reasoning_content"],"msg":""}]}`, changed(OmitInItems, "reasoning_content")},
		"LiteLLM, Python's text": {400, `{"error":{"message":"litellm.BadRequestError: MistralException - {'detail': [{'type': 'extra_forbidden', 'loc': ['body', 'stream_options'], 'msg': 'Extra inputs are not permitted'}]}"}}`, noStream},
		"LiteLLM":                {400, `{"error":{"message":"litellm.UnsupportedParamsError: ollama does not support parameters: ['parallel_tool_calls', 'user'], for model=x. To drop these, set drop_params=True"}}`, []Change{{Omit, "parallel_tool_calls"}, {Omit, "user"}}},
		"LiteLLM, a map":         {400, `{"error":{"message":"UnsupportedParamsError: x does not support parameters: {'service_tier': 'flex'}, for model=x."}}`, changed(Omit, "service_tier")},
		"Groq":                   {400, `{"error":{"message":"property 'stream_options' is unsupported, did you mean 'stream'?","type":"invalid_request_error"}}`, noStream},
		"Groq, message":          {400, `{"error":{"message":"'messages.2' : for 'role:assistant' the following must be satisfied[('messages.2' : property 'reasoning_content' is unsupported)]"}}`, changed(OmitInItems, "reasoning_content")},
		"Cerebras, message":      {400, `{"message":"messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' is unsupported","type":"invalid_request_error","param":"validation_error","code":"wrong_api_format"}`, changed(OmitInItems, "reasoning_content")},
		"Cerebras, call":         {400, `{"message":"property 'messages.2.assistant.tool_calls.0.extra_content' is unsupported"}`, changed(OmitInCalls, "extra_content")},
		"Gemini":                 {400, `[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"safety_identifier\": Cannot find field.\nInvalid JSON payload received. Unknown name \"verbosity\": Cannot find field.","status":"INVALID_ARGUMENT"}}]`, []Change{{Omit, "safety_identifier"}, {Omit, "verbosity"}}},
		"Gemini, strict":         {400, `{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"strict\" at 'request.tools[0].function_declarations[0]': Cannot find field."}}`, changed(OmitInTools, "strict")},
		"strict, by its path":    {400, `{"error":{"message":"Unknown parameter: 'tools[0].function.strict'."}}`, changed(OmitInTools, "strict")},
		"strict of the format":   {422, `{"detail":[{"type":"extra_forbidden","loc":["body","response_format","json_schema","strict"],"msg":""}]}`, changed(OmitInFormat, "strict")},
		"Anthropic":              {400, `{"type":"error","error":{"type":"invalid_request_error","message":"user: Extra inputs are not permitted"}}`, changed(Omit, "user")},
		"Bedrock":                {400, `{"message":"Malformed input request: #: extraneous key [stream_options] is not permitted, please reformat your input and try again."}`, noStream},
		"Go":                     {400, `{"error":"json: unknown field \"stream_options\""}`, noStream},
		"Rust":                   {422, "Failed to deserialize the JSON body into the target type: unknown field `stream_options`, expected one of `model`, `messages` at line 1 column 10", noStream},
		"Java":                   {400, `{"message":"Unrecognized field \"user\" (class Request), not marked as ignorable"}`, changed(Omit, "user")},
		"zod":                    {400, `{"error":"Unrecognized key(s) in object: 'verbosity'"}`, changed(Omit, "verbosity")},
		"Python's call":          {500, `{"detail":"create() got an unexpected keyword argument 'user'"}`, changed(Omit, "user")},
		"Python's schema":        {400, `{"message":"Additional properties are not allowed ('user', 'verbosity' were unexpected)"}`, []Change{{Omit, "user"}, {Omit, "verbosity"}}},
		"NestJS":                 {400, `{"message":["property service_tier should not exist"],"statusCode":400}`, changed(Omit, "service_tier")},
		"another server's":       {400, `{"error":{"message":"Error from provider: {\"error\":{\"message\":\"property 'user' is unsupported\"}}\nError: at qn"}}`, changed(Omit, "user")},

		"Fireworks":             {400, `{"error":{"object":"error","type":"invalid_request_error","message":"Extra inputs are not permitted, field: 'user', value: 'u'"}}`, changed(Omit, "user")},
		"Fireworks, message":    {400, `{"error":{"message":"Extra inputs are not permitted, field: 'messages[2].reasoning_content', value: 'hm'"}}`, changed(OmitInItems, "reasoning_content")},
		"xAI":                   {400, `{"code":"Client specified an invalid argument","error":"Argument not supported on this model: user"}`, changed(Omit, "user")},
		"NIM":                   {400, "{\"error\":\"Validation: Unsupported parameter(s): `user`\"}", changed(Omit, "user")},
		"Databricks":            {400, `{"error_code":"BAD_REQUEST","message":"Bad request: json: unknown field \"strict\"\n"}`, changed(OmitInTools, "strict")},
		"watsonx":               {400, `{"errors":[{"code":"json_validation_error","message":"Json document validation error: parallel_tool_calls should not be set"}]}`, changed(Omit, "parallel_tool_calls")},
		"OpenAI, message":       {400, `{"error":{"message":"Unknown parameter: 'messages[2].reasoning_content'.","param":"messages[2].reasoning_content","code":"unknown_parameter"}}`, changed(OmitInItems, "reasoning_content")},
		"Anthropic, message":    {400, `{"error":{"message":"messages.2.reasoning_content: Extra inputs are not permitted"}}`, changed(OmitInItems, "reasoning_content")},
		"in other words":        {400, `{"error":{"message":"stream_options: additional property is not allowed here"}}`, noStream},
		"as a plain text":       {400, `stream_options not supported`, noStream},
		"an invalid parameter":  {400, `{"error":{"message":"Invalid parameter: stream_options"}}`, noStream},
		"include_usage alone":   {400, `{"message":"include_usage is not supported for this model"}`, noStream},
		"a model that does not": {400, `{"error":{"message":"This model doesn't support parallel_tool_calls"}}`, changed(Omit, "parallel_tool_calls")},
		"a list of places":      {400, `{"errors":[{"path":"/stream_options","message":"must NOT have additional properties"},{"path":"/temperature","message":"should be a string"}]}`, noStream},
		"a field":               {422, `{"errors":[{"field":"user","reason":"unexpected field"}]}`, changed(Omit, "user")},
		"zod's keys":            {400, `{"error":{"issues":[{"code":"unrecognized_keys","keys":["verbosity"],"path":[],"message":"x"}]}}`, changed(Omit, "verbosity")},
		"the bound, please use": {400, `{"error":{"message":"max_tokens is deprecated here, please use max_completion_tokens"}}`, completion},

		"Qwen, two system messages": {400, `{"error":{"message":"System message must be at the beginning."}}`, nil}, // there is one only
		"Gemma, no system":          {500, `{"error":{"code":500,"message":"System role not supported","type":"server_error"}}`, changed(Role, "user")},
		"LM Studio, null":           {400, `{"error":"Invalid 'content': 'content' field must be a string or an array of objects."}`, changed(EmptyText, "")},
		"llama.cpp, null":           {400, `{"error":{"code":400,"message":"Expected 'content' to be a string or an array","type":"invalid_request_error"}}`, changed(EmptyText, "")},
		"Ollama, null":              {400, `{"error":{"message":"invalid message content type: <nil>"}}`, changed(EmptyText, "")},
		"Mistral, ids":              {400, `{"object":"error","message":"Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.","type":"invalid_function_call","param":null,"code":"3280"}`, changed(NineIDs, "")},
		"Gemini, name":              {400, `[{"error":{"code":400,"message":"* GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty.\n","status":"INVALID_ARGUMENT"}}]`, changed(ToolNames, "")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := Request{Path: chatPath, Body: []byte(full)}
			got := AfterRefusal(r, tt.status, []byte(tt.answer))
			slices.SortFunc(tt.want, Compare)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			body := Apply(r, nil, got)
			if !json.Valid(body) {
				t.Fatalf("not JSON: %s", body)
			}
			if tt.want != nil && string(body) == full {
				t.Errorf("the changes %v change nothing", got)
			}
		})
	}
}

func TestRefusalsOfRoles(t *testing.T) {
	t.Parallel()
	const developer = `{"messages":[{"role":"system","content":"a"},{"role":"developer","content":"b"},{"role":"user","content":"c"}]}`
	const system = `{"messages":[{"role":"system","content":"a"},{"role":"system","content":"b"},{"role":"user","content":"c"}]}`
	const one = `{"messages":[{"role":"system","content":"a"},{"role":"user","content":"c"}]}`
	for name, tt := range map[string]struct {
		body, words string
		want        []Change
	}{
		"Qwen":                       {developer, `Unexpected message role.`, changed(Role, "system")},
		"Qwen again":                 {system, `Unexpected message role.`, changed(Role, "merge")},
		"DeepSeek":                   {developer, "Failed to deserialize the JSON body into the target type: messages[1].role: unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool` at line 1 column 85", changed(Role, "system")},
		"pydantic":                   {developer, `Input tag 'developer' found using 'role' does not match any of the expected tags: 'system', 'user', 'assistant', 'tool'`, changed(Role, "system")},
		"pydantic's literal":         {developer, `Input should be 'system', 'user', 'assistant' or 'tool'`, changed(Role, "system")},
		"JSON Schema":                {developer, `'developer' is not one of ['system', 'user', 'assistant', 'tool'] - 'messages.1.role'`, changed(Role, "system")},
		"a name":                     {developer, `Unknown role: developer`, changed(Role, "system")},
		"OpenAI, o1-mini":            {developer, `Unsupported value: 'messages[1].role' does not support 'developer' with this model.`, changed(Role, "system")},
		"OpenAI, o1-mini again":      {system, `Unsupported value: 'messages[0].role' does not support 'system' with this model.`, changed(Role, "user")},
		"Qwen 3.5":                   {system, `System message must be at the beginning.`, changed(Role, "merge")},
		"Gemma 3":                    {system, `Conversation roles must alternate user/assistant/user/assistant/...`, changed(Role, "merge")},
		"Mistral's template":         {system, `Only user, assistant and tool roles are supported, with the exception of an initial optional system message!`, changed(Role, "merge")},
		"Gemma 2":                    {one, `System role not supported`, changed(Role, "user")},
		"users that follow another":  {one, `Conversation roles must alternate user/assistant/user/assistant/...`, nil},
		"the roles that there are":   {developer, `messages[1].role must be one of the following values: system, user, assistant, tool`, changed(Role, "system")},
		"a role that is not there":   {one, `Unknown role: developer`, nil},
		"a role that says something": {developer, `The developer of this model is on holiday.`, nil},
	} {
		answer, err := json.Marshal(map[string]any{"error": map[string]any{"message": tt.words, "code": 400}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, AfterRefusal(Request{Path: chatPath, Body: []byte(tt.body)}, 400, answer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRefusalsOfResponses(t *testing.T) {
	t.Parallel()
	for words, want := range map[string][]Change{
		"Unknown parameter: 'store'.":                                     changed(Omit, "store"),
		"Unknown parameter: 'text.verbosity'.":                            changed(Omit, "text.verbosity"),
		"Unknown parameter: 'include'.":                                   changed(OmitSealed, ""),
		"Unsupported parameter: 'truncation' is not supported.":           changed(Omit, "truncation"),
		"Encrypted content is not supported with this model.":             changed(OmitSealed, ""),
		"Unknown parameter: 'tools[0].strict'.":                           changed(OmitInTools, "strict"),
		"Unknown parameter: 'text.format.strict'.":                        changed(OmitInFormat, "strict"),
		"input[0].role: unknown variant `developer`, expected one of ...": changed(Role, "system"),
		"Unknown parameter: 'max_output_tokens'.":                         nil,
		"Unknown parameter: 'instructions'.":                              nil,
		"Unknown parameter: 'input'.":                                     nil,
	} {
		answer, err := json.Marshal(map[string]any{"error": map[string]any{"message": words}})
		if err != nil {
			t.Fatal(err)
		}
		r := Request{Path: responsesPath, Body: []byte(fullResponse)}
		got := AfterRefusal(r, 400, answer)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", words, diff)
		}
		if body := Apply(r, nil, got); !json.Valid(body) || got != nil && string(body) == fullResponse {
			t.Errorf("%s: sent again as %s", words, body)
		}
	}
}

// A refusal of what a client asked for reaches the client.
func TestWhatIsNeverLeftOut(t *testing.T) {
	t.Parallel()
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(full), &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"model", "messages", "tools", "temperature", "response_format", "reasoning_effort", "stream"} {
		if all[name] == nil {
			t.Fatalf("the body has no %s", name)
		}
		for _, words := range []string{
			"Unknown parameter: '" + name + "'.", "Unrecognized request argument supplied: " + name, "property '" + name + "' is unsupported", name + ": Extra inputs are not permitted",
		} {
			answer, err := json.Marshal(map[string]any{"error": map[string]any{"message": words, "param": name, "code": "unknown_parameter"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := AfterRefusal(Request{Path: chatPath, Body: []byte(full)}, 400, answer); got != nil {
				t.Errorf("%s: %v, want no change", words, got)
			}
		}
	}
	for name, tt := range map[string]struct {
		status       int
		body, answer string
	}{
		"calls one after the other":    {400, `{"parallel_tool_calls":false}`, `{"error":"Unknown parameter: 'parallel_tool_calls'"}`},
		"a tool that must be called":   {400, `{"tool_choice":"required"}`, `{"error":"Unknown parameter: 'tool_choice'"}`},
		"a message's content":          {400, full, `{"error":"property 'messages.0.content' is unsupported"}`},
		"a call's arguments":           {400, full, `{"error":"Unknown parameter: 'messages[2].tool_calls[0].function.arguments'"}`},
		"a bound under both names":     {400, `{"max_tokens":1,"max_completion_tokens":2}`, `{"error":"Unknown parameter: 'max_tokens'"}`},
		"a member that is not there":   {400, `{}`, `{"error":"Unknown parameter: 'stream_options'"}`},
		"a value":                      {400, full, `{"error":{"message":"Unsupported value: 'temperature' does not support 0.5 with this model.","param":"temperature","code":"unsupported_value"}}`},
		"a value of a hint":            {400, full, `{"error":{"message":"Invalid value: 'low'. Supported values are: 'medium'.","param":"verbosity","code":"invalid_value"}}`},
		"reasoning that is wanted":     {400, full, `{"error":{"message":"The reasoning_content in the thinking mode must be passed back to the API."}}`},
		"reasoning that is missing":    {400, full, "{\"error\":{\"message\":\"Missing `reasoning_content` field in the assistant message at message index 2.\"}}"},
		"a refused credential":         {401, full, `{"error":"Unknown parameter: 'user'"}`},
		"a limit":                      {429, full, `{"error":"Unknown parameter: 'user'"}`},
		"a server that is away":        {503, full, `{"error":"Unknown parameter: 'user'"}`},
		"nothing to read":              {400, full, ``},
		"a body that is no object":     {400, `[]`, `{"error":"Unknown parameter: 'user'"}`},
		"a bound that is too large":    {400, full, `{"error":{"message":"max_tokens 100 is not supported: the maximum is 64","param":"max_tokens"}}`},
		"a user that may not":          {400, full, `{"error":{"message":"This user is not allowed to use the model."}}`},
		"a length":                     {400, full, `{"error":{"message":"This model's maximum context length is 4096 tokens.","param":"messages","code":"context_length_exceeded"}}`},
		"a text that names parameters": {400, full, `{"error":"The user said that stream_options and metadata are fine."}`},
	} {
		if got := AfterRefusal(Request{Path: chatPath, Body: []byte(tt.body)}, tt.status, []byte(tt.answer)); got != nil {
			t.Errorf("%s: %v, want no change", name, got)
		}
	}
}

// A client's own chat completion keeps all that the client wrote.
func TestRefusalsOfAClientsBody(t *testing.T) {
	t.Parallel()
	given := func(name string) bool { return name != "stream_options" }
	for words, want := range map[string][]Change{
		"Unknown parameter: 'stream_options'.":                                   changed(Omit, "stream_options"),
		"Unknown parameter: 'user'.":                                             nil,
		"Unknown parameter: 'parallel_tool_calls'.":                              nil,
		"Unknown parameter: 'tools[0].function.strict'.":                         nil,
		"Unknown parameter: 'response_format.json_schema.strict'.":               nil,
		"property 'messages.2.reasoning_content' is unsupported":                 nil,
		"Unsupported parameter: 'max_tokens'. Use max_completion_tokens instead": changed(Bound, "max_completion_tokens"),
		"System role not supported":                                              changed(Role, "user"),
	} {
		answer, err := json.Marshal(map[string]any{"error": words})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, AfterRefusal(Request{Path: chatPath, Body: []byte(full), IsClients: given}, 400, answer)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", words, diff)
		}
	}
	all := func(string) bool { return true }
	if got := AfterRefusal(Request{Path: chatPath, Body: []byte(full), IsClients: all}, 400, []byte(`{"error":"Unknown parameter: 'stream_options'"}`)); got != nil {
		t.Errorf("stream_options of a client: %v, want no change", got)
	}
}

// A lesson of one request is not applied to a request whose meaning it would
// change.
func TestAllowed(t *testing.T) {
	t.Parallel()
	learned := []Change{
		{Omit, "parallel_tool_calls"},
		{Omit, "text.verbosity"},
		{Omit, "user"},
		{OmitInCalls, "index"},
		{OmitInItems, "reasoning"},
		{OmitInTools, "strict"},
		{OmitInFormat, "strict"},
		{OmitSealed, ""},
		{Bound, "max_tokens"},
		{Role, "system"},
	}
	for body, want := range map[string][]Change{
		`{"parallel_tool_calls":true,"user":"u","text":{"verbosity":"low"}}`: learned,
		`{"parallel_tool_calls":false,"text":{"verbosity":"low"}}`:           learned[1:],
		`[]`: nil,
	} {
		if diff := cmp.Diff(want, Allowed(Request{Path: chatPath, Body: []byte(body)}, learned)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	clients := Request{Path: chatPath, Body: []byte(`{"parallel_tool_calls":true,"user":"u"}`), IsClients: func(string) bool { return true }}
	if diff := cmp.Diff(learned[8:], Allowed(clients, learned)); diff != "" {
		t.Errorf("a client's body (-want +got):\n%s", diff)
	}
}
