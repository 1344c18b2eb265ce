package hints

import (
	"strings"
	"testing"
)

func TestRoute(t *testing.T) {
	t.Parallel()
	routes := Routes{
		"/v1/responses": {"GET", "POST"}, "/v1/responses/{id}": {"DELETE", "GET"}, "/v1/responses/{id}/cancel": {"POST"},
		"/v1/responses/compact": {"POST"}, "/v1/chat/completions": {"POST"}, "/v1/completions": {"POST"}, "/v1/embeddings": {"POST"},
		"/v1/models": {"GET"}, "/v1/models/{model...}": {"GET"}, "/openapi.json": {"GET"},
	}
	const base = " Check the base URL of the client: it ends with one /v1."
	for _, tt := range []struct{ method, path, want string }{
		{"POST", "/responses", "Did you mean POST /v1/responses?" + base},
		{"POST", "/chat/completions", "Did you mean POST /v1/chat/completions?" + base},
		{"POST", "/v1/v1/chat/completions", "Did you mean POST /v1/chat/completions?" + base},
		{"POST", "/api/v1/responses", "Did you mean POST /v1/responses?" + base},
		{"POST", "/v1/openai/responses", "Did you mean POST /v1/responses?" + base},
		{"GET", "/responses/resp_Ab", "Did you mean GET /v1/responses/resp_Ab?" + base},
		{"GET", "/models/Qwen/Qwen3-8B", "Did you mean GET /v1/models/Qwen/Qwen3-8B?" + base},
		{"GET", "/responses/resp_1/cancel", "Did you mean POST /v1/responses/resp_1/cancel?" + base},
		{"POST", "/v1/responses/", "Did you mean POST /v1/responses?"},
		{"POST", "/v1//responses", "Did you mean POST /v1/responses?"},
		{"POST", "/v1/Responses", "Did you mean POST /v1/responses?"},
		{"POST", "/V1/responses", "Did you mean POST /v1/responses?" + base},
		{"POST", "/v1/response", "Did you mean POST /v1/responses?"},
		{"POST", "/v1/chat/completion", "Did you mean POST /v1/chat/completions?"},
		{"POST", "/v1/chat/competions", "Did you mean POST /v1/chat/completions?"},
		{"GET", "/v1/model", "Did you mean GET /v1/models?"},
		{"POST", "/v1/embeding", "Did you mean POST /v1/embeddings?"},
		{"POST", "/v1/messages", "Did you mean POST /v1/chat/completions?"},
		{"POST", "/api/chat", "Did you mean POST /v1/chat/completions?" + base},
		{"GET", "/api/tags", "Did you mean GET /v1/models?" + base},
		{"GET", "/v1/openapi.json", "Did you mean GET /openapi.json?"},
		{"GET", "/", ""},
		{"GET", "/v1", ""},
		{"GET", "/v1/nothing", ""},
		{"GET", "/favicon.ico", ""},
		{"GET", "/a/b/c/d/e/f/g/h/i/j/k", ""},
		{"GET", "/" + strings.Repeat("v1/", 400) + "models", ""},
	} {
		if got := routes.Route(tt.method, tt.path); got != tt.want {
			t.Errorf("Route(%s %s) = %q, want %q", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	for want, names := range map[string][]string{"": nil, "'a'": {"a"}, "'a' or 'b'": {"a", "b"}, "'a', 'b' or 'c'": {"a", "b", "c"}} {
		if got := List(names, "or"); got != want {
			t.Errorf("List(%q) = %q, want %q", names, got, want)
		}
	}
}
