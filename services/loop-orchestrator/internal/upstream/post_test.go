package upstream

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
)

func TestPostPassesTheUpstreamsErrorOn(t *testing.T) {
	t.Parallel()
	const secret = "sk-0123456789"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		status int
		body   string
		own    string
		code   string
		retry  bool
	}{
		{
			"as OpenAI has it", 400, `{"error":{"message":"No.","type":"invalid_request_error","param":"messages[0]","code":"too_long","more":{}}}`,
			`{"message":"No.","type":"invalid_request_error","param":"messages[0]","code":"too_long"}`, "too_long", false,
		},
		{
			"without its envelope", 400, `{"object":"error","message":"Too long.","type":"BadRequestError","param":null,"code":400}`,
			`{"message":"Too long.","type":"BadRequestError","param":null,"code":"400"}`, "invalid_prompt", false,
		},
		{"as a text", 422, `{"error":"bad input","error_type":"validation"}`, `{"message":"bad input","type":"validation","param":null,"code":null}`, "invalid_prompt", false},
		{"as a detail", 404, `{"detail":"Not Found"}`, `{"message":"Not Found","type":"invalid_request_error","param":null,"code":null}`, "upstream_not_found", false},
		{"as nothing", 404, ``, `{"message":"The upstream answered HTTP 404.","type":"invalid_request_error","param":null,"code":null}`, "upstream_not_found", false},
		{"as a list", 404, `[{"message":"x"}]`, `{"message":"x","type":"invalid_request_error","param":null,"code":null}`, "upstream_not_found", false},
		{
			"with the credential in every place", 400,
			`{"error":{"message":"key ` + secret + ` is bad","type":"` + secret + `","param":"` + secret + `","code":"x` + secret + `"}}`,
			`{"message":"key [redacted] is bad","type":"[redacted]","param":"[redacted]","code":"x[redacted]"}`, "", false,
		},
		{"of a limit", 429, `{"error":{"message":"Slow.","type":"tokens","code":"quota"}}`, `{"message":"Slow.","type":"tokens","param":null,"code":"quota"}`, "rate_limit_exceeded", true},
		{"of a refused credential", 401, `{"error":{"message":"bad key"}}`, ``, "upstream_unauthorized", false},
		{"of a forbidden model", 403, `{"error":{"message":"not yours"}}`, ``, "upstream_forbidden", false},
		{"of the server", 500, `{"error":{"message":"oops"}}`, ``, "server_error", true},
		{"of a redirect to nowhere", 300, ``, ``, "upstream_redirect", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := upstream(t, tt.status, http.Header{"Retry-After": {"2"}}, tt.body)
			at.Credential = registry.Credential{File: file}
			_, err := Client{HTTP: freshClient()}.Post(t.Context(), at, "/embeddings", []byte(`{}`), Headers{})
			var got *run.Failure
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a run.Failure", err)
			}
			if string(got.Own) != tt.own || got.Retriable != tt.retry || got.HTTPStatus != tt.status || got.RetryAfter != 2*time.Second ||
				got.Message == "" || strings.Contains(got.Message+got.Code, secret) {
				t.Errorf("error is %+v with %s, want %s", got, got.Own, tt.own)
			}
			if tt.code != "" && got.Code != tt.code {
				t.Errorf("code is %q, want %q", got.Code, tt.code)
			}
		})
	}
}

func TestPostReadsTheAnswer(t *testing.T) {
	t.Parallel()
	u := Client{HTTP: freshClient()}
	if b, err := u.Post(t.Context(), upstream(t, 200, nil, ` {"a":1} `), "/x", nil, Headers{}); err != nil || string(b) != `{"a":1}` {
		t.Errorf("Post = %q, %v", b, err)
	}
	var failed *run.Failure
	_, err := u.Post(t.Context(), upstream(t, 200, nil, `{"a":"`+strings.Repeat("x", maxAnswer+1<<16)+`"}`), "/x", nil, Headers{})
	if !errors.As(err, &failed) || failed.Retriable || failed.HTTPStatus != 200 {
		t.Errorf("Post of an answer that is too large = %v", err)
	}
	if _, err := u.Post(t.Context(), registry.Upstream{URL: "http://127.0.0.1:1"}, "/x", nil, Headers{}); !errors.As(err, &failed) ||
		failed.Code != "connection_error" || !failed.Retriable {
		t.Errorf("Post without a listener = %v", err)
	}
}
