package upstream

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

func TestChunks(t *testing.T) {
	t.Parallel()
	const secret = "sk-0123456789"
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := errors.New("not a chunk")
	for _, tt := range []struct {
		name   string
		status int
		kind   string
		body   string
		heard  []string
		done   bool
		want   *model.CallError
	}{
		{"to the end", 200, "text/event-stream; charset=utf-8", "data: a\n\n: comment\n\ndata:b\n\ndata: [DONE]\n\ndata: c\n\n", []string{"a", "b"}, true, nil},
		{"without a last word", 200, "text/event-stream", "data: a\n\n", []string{"a"}, false, nil},
		{"nothing", 200, "text/event-stream", "", nil, false, nil},
		{"refused", 400, "application/json", `{"error":{"message":"No.","code":"c"}}`, nil, false, &model.CallError{Code: "c", Message: "No.", HTTPStatus: 400}},
		{
			"an error in the middle", 200, "text/event-stream", "data: a\n\ndata: {\"error\":{\"message\":\"" + secret + " broke.\",\"code\":500}}\n\ndata: b\n\n",
			[]string{"a"},
			false, &model.CallError{Code: "server_error", Message: "[redacted] broke.", HTTPStatus: 500, Retriable: true},
		},
		{"an error with a status", 200, "text/event-stream", `data: {"error":{"message":"No.","code":"429"}}` + "\n\n", nil, false, &model.CallError{Code: "rate_limit_exceeded", Message: "No.", HTTPStatus: 429, Retriable: true}},
		{"an error in a word", 200, "text/event-stream", `data: {"error":"No."}` + "\n\n", nil, false, &model.CallError{Code: "server_error", Message: "No.", HTTPStatus: 500, Retriable: true}},
		{"no error", 200, "text/event-stream", `data: {"error":null}` + "\n\n", []string{`{"error":null}`}, false, nil},
		{"an error in place of a stream", 200, "application/json", `{"error":{"message":"No.","code":404}}`, nil, false, &model.CallError{Code: "invalid_prompt", Message: "No.", HTTPStatus: 404}},
		{"a whole answer", 200, "application/json", `{"choices":[]}`, nil, false, &model.CallError{Code: "server_error", Message: "the upstream's answer is malformed: it is no stream", HTTPStatus: 200, Retriable: true}},
		{"what cannot be heard", 200, "text/event-stream", "data: a\n\ndata: bad\n\ndata: b\n\n", []string{"a"}, false, &model.CallError{Code: "server_error", Message: "not a chunk", HTTPStatus: 200, Retriable: true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			at := upstream(t, tt.status, http.Header{"Content-Type": {tt.kind}}, tt.body)
			at.Credential = registry.Credential{File: file}
			var heard []string
			done, err := Client{HTTP: &http.Client{}}.Chunks(t.Context(), at, "/x", nil, Headers{}, func(data []byte) error {
				if string(data) == "bad" {
					return bad
				}
				heard = append(heard, string(data))
				return nil
			})
			var got *model.CallError
			if err != nil && !errors.As(err, &got) {
				t.Fatalf("error %v, want a CallError", err)
			}
			if got != nil {
				if (got.Own != nil) != (got.HTTPStatus >= 400 && got.HTTPStatus < 500) || strings.Contains(string(got.Own), secret) {
					t.Errorf("HTTP %d in its own words: %s", got.HTTPStatus, got.Own)
				}
				got.Own = nil
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || done != tt.done {
				t.Errorf("done %v, want %v; error (-want +got):\n%s", done, tt.done, diff)
			}
			if diff := cmp.Diff(tt.heard, heard); diff != "" {
				t.Errorf("heard (-want +got):\n%s", diff)
			}
		})
	}
}
