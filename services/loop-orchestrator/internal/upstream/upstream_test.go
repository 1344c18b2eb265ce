package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/responsesapi"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// upstream starts a server that gives each call the same answer.
func upstream(tb testing.TB, status int, header http.Header, body string) registry.Upstream {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	tb.Cleanup(s.Close)
	return registry.Upstream{URL: s.URL}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const secret = "sk-0123456789"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		status int
		body   string
		want   run.Failure
	}{
		{"429", 429, `{"error":{"message":"Slow.","code":"quota"}}`, run.Failure{Code: "rate_limit_exceeded", Message: "The upstream answered HTTP 429: Slow.", Retriable: true, RetryAfter: 2 * time.Second}},
		{"500", 500, `oops`, run.Failure{Code: "server_error", Message: "The upstream answered HTTP 500: oops", Retriable: true, RetryAfter: 2 * time.Second}},
		{"408", 408, ``, run.Failure{Code: "timeout", Message: "The upstream answered HTTP 408.", Retriable: true, RetryAfter: 2 * time.Second}},
		{"400", 400, `{"error":{"message":"No.","code":"too_long"}}`, run.Failure{Code: "too_long", Message: "The upstream answered HTTP 400: No.", RetryAfter: 2 * time.Second}},
		{"a numeric code", 404, `{"error":{"message":"No.","code":404}}`, run.Failure{Code: "upstream_not_found", Message: "The upstream answered HTTP 404: No. (POST /chat/completions; the upstream's url may lack /v1)", RetryAfter: 2 * time.Second}},
		{"a code with a NUL", 400, `{"error":{"message":"No.","code":"a\u0000"}}`, run.Failure{Code: "invalid_prompt", Message: "The upstream answered HTTP 400: No.", RetryAfter: 2 * time.Second}},
		{"a long code", 400, `{"error":{"message":"No.","code":"` + strings.Repeat("x", 65) + `"}}`, run.Failure{Code: "invalid_prompt", Message: "The upstream answered HTTP 400: No.", RetryAfter: 2 * time.Second}},
		{"401", 401, `{"error":{"message":"Bad key ` + secret + `"}}`, run.Failure{Code: "upstream_unauthorized", Message: "The upstream refused the credential configured for this model. The upstream answered HTTP 401: Bad key [redacted]", RetryAfter: 2 * time.Second}},
		{"a quoted credential", 400, `{"error":{"message":"Bad key ` + secret + `."}}`, run.Failure{Code: "invalid_prompt", Message: "The upstream answered HTTP 400: Bad key [redacted].", RetryAfter: 2 * time.Second}},
		{"malformed", 200, `{`, run.Failure{Code: "server_error", Message: "the upstream's answer is malformed: 1 bytes that are no JSON document", Retriable: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := upstream(t, tt.status, http.Header{"Retry-After": {"2"}}, tt.body)
			at.Credential = registry.Credential{File: file}
			_, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, chat.Dialect{}, []byte(`{}`), Headers{}, nil)
			var got *run.Failure
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a run.Failure", err)
			}
			tt.want.HTTPStatus = tt.status
			if diff := cmp.Diff(&tt.want, got, cmpopts.IgnoreFields(run.Failure{}, "Own", "Raw")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// An answer can report an error, too, and quote the credential in it.
func TestErrorsOfResponses(t *testing.T) {
	t.Parallel()
	const secret = "sk-0123456789"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, failure, code, message string }{
		{"a code", `{"code":"invalid_image","message":"No."}`, "invalid_image", "No."},
		{"the credential", `{"code":"x` + secret + `","message":"Bad key ` + secret + `."}`, "invalid_prompt", "Bad key [redacted]."},
		{"a malformed code", `{"code":"a b","message":"No."}`, "invalid_prompt", "No."},
		{"a long story", `{"code":"c","message":"` + strings.Repeat("x", 16<<10-1) + `üx"}`, "c", strings.Repeat("x", 16<<10-1)},
		{"a malformed code, retriable", `{"code":"a b","type":"server_error","message":"No."}`, "server_error", "No."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for media, body := range map[string]string{
				"application/json":  `{"status":"failed","error":` + tt.failure + `}`,
				"text/event-stream": `data: {"type":"error","error":` + tt.failure + "}\n\n",
			} {
				at := upstream(t, 200, http.Header{"Content-Type": {media}}, body)
				at.Credential = registry.Credential{File: file}
				_, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, responsesapi.Dialect{}, []byte(`{}`), Headers{}, func(model.Delta) {})
				var got *run.Failure
				if !errors.As(err, &got) || got.Code != tt.code || got.Message != tt.message {
					t.Errorf("%s: error %v, want %s: %s", media, err, tt.code, tt.message)
				}
			}
		})
	}
}

func TestAnEndedContextIsNotTheUpstreamsFault(t *testing.T) {
	t.Parallel()
	cause := errors.New("drained")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	at := upstream(t, 200, nil, `{}`)
	u := Client{HTTP: freshClient()}
	if _, err := u.Complete(ctx, at, chat.Dialect{}, nil, Headers{}, nil); !errors.Is(err, cause) {
		t.Errorf("error %v, want the context's cause", err)
	}
	late, stop := context.WithTimeoutCause(t.Context(), 0, ErrCallTimeout)
	defer stop()
	var failed *run.Failure
	if _, err := u.Complete(late, at, chat.Dialect{}, nil, Headers{}, nil); !errors.As(err, &failed) || failed.Code != "timeout" || !failed.Retriable {
		t.Errorf("error %v, want a timeout to try again after", err)
	}
}
