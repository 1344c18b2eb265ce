package upstream

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// askChat calls a server that answers with a whole body, or with one event and
// the mark of the end.
func askChat(t *testing.T, body string, streamed bool) (model.Answer, error) {
	t.Helper()
	if streamed {
		body = "data: " + body + "\n\ndata: [DONE]\n\n"
	}
	return Client{HTTP: freshClient()}.Complete(
		t.Context(), upstream(t, 200, nil, body), chat.Dialect{}, []byte(`{}`), Headers{}, func(model.Delta) {},
	)
}

// TestErrorsOfChoices holds that an error in or beside a choice fails the call,
// in any form that is not empty.
func TestErrorsOfChoices(t *testing.T) {
	t.Parallel()
	type failure struct {
		said, reason, more string
		status             int
		code, message      string
		retriable          bool
	}
	for name, tt := range map[string]failure{
		"an error of the choice":      {`"content":"partial"`, "error", `"error":{"code":502,"message":"Upstream idle."}`, 502, "server_error", "Upstream idle.", true},
		"of the choice, and stop":     {`"content":"partial"`, "stop", `"error":{"code":502,"message":"Upstream idle."}`, 502, "server_error", "Upstream idle.", true},
		"of the choice, too many":     {``, "error", `"error":{"code":429,"message":"Slow down."}`, 429, "rate_limit_exceeded", "Slow down.", true},
		"of the choice, a request's":  {``, "error", `"error":{"code":400,"message":"Bad image."}`, 400, "invalid_prompt", "Bad image.", false},
		"of the choice, as text":      {``, "error", `"error":"Broken."`, 500, "server_error", "Broken.", true},
		"of the choice, code in text": {``, "error", `"error":{"code":"413","message":"Too long."}`, 413, "request_too_large", "Too long.", false},
		"of the choice, no words":     {``, "error", `"error":{"code":500}`, 500, "server_error", "reported error 500", true},
		"of the choice, true":         {`"content":"partial"`, "stop", `"error":true`, 500, "server_error", "", true},
		"of the choice, a number":     {`"content":"partial"`, "stop", `"error":1`, 500, "server_error", "", true},
		"of the choice, a type":       {`"content":"partial"`, "stop", `"error":{"type":"server_error"}`, 500, "server_error", "", true},
		"of the choice, a list":       {`"content":"partial"`, "stop", `"error":[{"message":"Broken."}]`, 500, "server_error", "Broken.", true},
	} {
		for said, streamed := range map[string]bool{"delta": true, "message": false} {
			choice := `{"` + said + `":{` + tt.said + `},"finish_reason":"` + tt.reason + `",` + tt.more + `}`
			for form, body := range map[string]string{"a list": `{"choices":[` + choice + `]}`, "one object": `{"choices":` + choice + `}`} {
				_, err := askChat(t, body, streamed)
				var e *run.Failure
				if !errors.As(err, &e) {
					t.Errorf("%s, %s, choices as %s: error %v", name, said, form, err)
				} else if e.HTTPStatus != tt.status || e.Code != tt.code || e.Retriable != tt.retriable || !strings.Contains(e.Message, tt.message) {
					t.Errorf("%s, %s, choices as %s: %+v, want %+v", name, said, form, e, tt)
				}
			}
		}
	}
	for _, beside := range []string{`true`, `1`, `[{}]`, `{"type":"server_error","message":null}`} {
		for said, streamed := range map[string]bool{"delta": true, "message": false} {
			body := `{"error":` + beside + `,"choices":[{"` + said + `":{"content":"partial"},"finish_reason":"stop"}]}`
			_, err := askChat(t, body, streamed)
			var e *run.Failure
			if !errors.As(err, &e) || !e.Retriable || strings.Contains(e.Message, "partial") {
				t.Errorf("%s beside a choice: error %v", beside, err)
			}
		}
	}
	for _, body := range []string{`{"error":{"message":"Overloaded."}}`, `{"choices":[],"error":"Overloaded."}`, `{"choices":[{"error":{"message":"Overloaded."}}]}`} {
		for _, streamed := range []bool{false, true} {
			var e *run.Failure
			if _, err := askChat(t, body, streamed); !errors.As(err, &e) || e.Message != "Overloaded." || !e.Retriable || e.HTTPStatus == http.StatusOK {
				t.Errorf("%s, streamed %v: error %v", body, streamed, err)
			}
		}
	}
	for _, none := range []string{`"error":null`, `"error":{}`, `"error":false`, `"error":""`} {
		a, err := askChat(t, `{"choices":[{"delta":{"content":"all of it"},"finish_reason":"stop",`+none+`}]}`, true)
		if err != nil || a.Finish != model.Stopped {
			t.Errorf("%s behind a text is %s, %v", none, a.Finish, err)
		}
	}
}
