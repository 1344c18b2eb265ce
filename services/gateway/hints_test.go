package gateway

import (
	"net/http"
	"strings"
	"testing"
)

func TestAParameterOfAnotherAPIIsNamed(t *testing.T) {
	t.Parallel()
	s := raise(t)
	const messages = `"messages":[{"role":"user","content":"hi"}]`
	for _, tt := range []struct{ name, path, body, param, code, message string }{
		{"messages", "/v1/responses", `{"model":"m",` + messages + `}`, "messages", "unsupported_parameter", "In the Responses API, this parameter has moved to 'input'."},
		{"messages in a stream", "/v1/responses", `{"model":"m",` + messages + `,"stream":true}`, "messages", "unsupported_parameter", "moved to 'input'"},
		{"messages and null", "/v1/responses", `{"model":"m","input":null,` + messages + `}`, "messages", "unsupported_parameter", "to /v1/chat/completions."},
		{"messages to count", "/v1/responses/input_tokens", `{"model":"m",` + messages + `}`, "messages", "unsupported_parameter", "moved to 'input'"},
		{"messages to compact", "/v1/responses/compact", `{"model":"m",` + messages + `}`, "messages", "unsupported_parameter", "moved to 'input'"},
		{
			"messages of a continuation, which would be lost", "/v1/responses",
			`{"model":"m","previous_response_id":"resp_0123456789abcdef0123456789abcdef",` + messages + `}`, "messages", "unsupported_parameter", "moved to 'input'",
		},
		{"input of a chat", "/v1/chat/completions", `{"model":"m","input":"hi"}`, "input", "unsupported_parameter", "is called 'messages'. Try again with the new parameter. Or send the request as it is to /v1/responses."},
		{"prompt of a chat", "/v1/chat/completions", `{"model":"m","prompt":"hi"}`, "prompt", "unsupported_parameter", "to /v1/completions."},
		{"prompt of embeddings", "/v1/embeddings", `{"model":"m","prompt":"hi"}`, "prompt", "unsupported_parameter", "is called 'input'."},
		{"text of embeddings", "/v1/embeddings", `{"model":"m","text":"hi"}`, "text", "unsupported_parameter", "is called 'input'."},
		{"nothing", "/v1/responses", `{"model":"m"}`, "input", "missing_required_parameter", `One of "input"`},
		{"nothing but null", "/v1/responses", `{"model":"m","messages":null}`, "input", "missing_required_parameter", `One of "input"`},
		{"nothing of a chat", "/v1/chat/completions", `{"model":"m"}`, "messages", "missing_required_parameter", "Missing required parameter"},
	} {
		got := s.call("POST", tt.path, tt.body)
		wantRefused(t, tt.name, got, http.StatusBadRequest, tt.code)
		f := got.fault(t)
		if text, _ := f["message"].(string); f["param"] != tt.param || !strings.Contains(text, tt.message) {
			t.Errorf("%s: refused with %s, want param %s and %q", tt.name, got.body, tt.param, tt.message)
		}
	}
	if r := s.call("POST", "/v1/responses", `{"model":"m","input":"hi","background":true,`+messages+`}`); r.status != http.StatusOK {
		t.Errorf("with an input beside it: answered %d %s, want 200, as for every unknown parameter", r.status, r.body)
	}
}

func TestAPathThatIsNotThereNamesANearOne(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, tt := range []struct{ method, path, hint string }{
		{"POST", "/responses", "Did you mean POST /v1/responses? Check the base URL of the client: it ends with one /v1."},
		{"POST", "/chat/completions", "Did you mean POST /v1/chat/completions?"},
		{"POST", "/v1/v1/responses", "Did you mean POST /v1/responses?"},
		{"POST", "/v1/responses/", "Did you mean POST /v1/responses?"},
		{"GET", "/models", "Did you mean GET /v1/models?"},
		{"GET", "/v1/response/resp_1", "Did you mean GET /v1/responses/{id}?"},
		{"POST", "/v1//responses", "Did you mean POST /v1/responses?"},
		{"GET", "/v1/nowhere", "GET /openapi.json lists the routes of this server."},
		{"GET", "/", "GET /openapi.json lists the routes of this server."},
	} {
		got := s.call(tt.method, tt.path, "")
		text, _ := got.fault(t)["message"].(string)
		if got.status != http.StatusNotFound || !strings.HasPrefix(text, "Invalid URL ("+tt.method+" "+tt.path+"). "+tt.hint) {
			t.Errorf("%s %s answered %d %q, want the hint %q", tt.method, tt.path, got.status, text, tt.hint)
		}
	}
}
