package httptool

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/run"
)

func TestStatuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status     int
		retryAfter string
		kind, body string
		want       run.Failure
	}{
		{400, "", "application/json", `{"detail":"no such city"}`, run.Failure{
			Code: "http_400", Message: `the tool answered 400 Bad Request: {"detail":"no such city"}`, HTTPStatus: 400,
		}},
		{404, "7", "", "", run.Failure{Code: "http_404", Message: "the tool answered 404 Not Found", HTTPStatus: 404}},
		{422, "", "image/png", "\x89PNG\xff", run.Failure{
			Code: "http_422", Message: "the tool answered 422 Unprocessable Entity", HTTPStatus: 422,
		}},
		{408, "", "", "", run.Failure{Code: "http_408", Message: "the tool answered 408 Request Timeout", Retriable: true, HTTPStatus: 408}},
		{429, "7", "", "slow", run.Failure{
			Code: "http_429", Message: "the tool answered 429 Too Many Requests: slow", Retriable: true, HTTPStatus: 429,
			RetryAfter: 7 * time.Second,
		}},
		{500, "soon", "text/plain", "a\x00b", run.Failure{
			Code: "http_500", Message: "the tool answered 500 Internal Server Error: a\uFFFDb", Retriable: true, HTTPStatus: 500,
		}},
		{599, "", "", "", run.Failure{Code: "http_599", Message: "the tool answered 599", Retriable: true, HTTPStatus: 599}},
		{304, "", "", "", run.Failure{Code: "http_304", Message: "the tool answered 304 Not Modified", HTTPStatus: 304}},
		{302, "", "", "", run.Failure{Code: "http_302", Message: "the tool answered 302 Found", HTTPStatus: 302}},
	}
	for _, tt := range tests {
		t.Run(tt.want.Code, func(t *testing.T) {
			t.Parallel()
			call := tool(t, func(w http.ResponseWriter, _ *http.Request) {
				if tt.retryAfter != "" {
					w.Header().Set("Retry-After", tt.retryAfter)
				}
				if tt.kind != "" {
					w.Header().Set("Content-Type", tt.kind)
				}
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			})
			_, f := do(t, client(t), call)
			if f == nil {
				t.Fatal("call succeeded")
			}
			if diff := cmp.Diff(tt.want, *f); diff != "" {
				t.Errorf("failure differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExcerptIsShort(t *testing.T) {
	t.Parallel()
	call := tool(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "x"+strings.Repeat("ü", 1<<20))
	})
	_, f := do(t, client(t), call)
	if f == nil || len(f.Message) > maxExcerpt+100 || len(f.Message) < maxExcerpt || !utf8.ValidString(f.Message) {
		t.Errorf("failure = %+v, want an excerpt of about %d bytes", f, maxExcerpt)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"0":                             0,
		"5":                             5 * time.Second,
		"3600":                          time.Hour,
		"86400":                         time.Hour,
		"99999999999999999999999":       time.Hour,
		"-5":                            0,
		"1.5":                           0,
		"soon":                          0,
		"Mon, 23 Nov 2026 12:01:00 GMT": time.Minute,
		"Mon, 23 Nov 2026 11:59:00 GMT": 0,
		"Wed, 23 Nov 2033 12:00:00 GMT": time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("retryAfter(%q) = %v, want %v", value, got, want)
		}
		// The tool's clock is 65 minutes behind ours.
		h := http.Header{"Retry-After": {value}, "Date": {now.Format(http.TimeFormat)}}
		if got := retryAfter(h, now.Add(65*time.Minute)); got != want {
			t.Errorf("retryAfter(%q) of another clock = %v, want %v", value, got, want)
		}
	}
}
