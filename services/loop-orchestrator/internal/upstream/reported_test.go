package upstream

import (
	"errors"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// TestReportedErrors holds that an error with status 200 is found wherever a
// server puts it, with its message and status.
func TestReportedErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		doc     string
		code    string
		message string
		status  int
		retry   bool
	}{
		"a status":              {`{"error":{"code":400,"message":"too long"}}`, "invalid_prompt", "The upstream reported error 400: too long", 400, false},
		"a status that passes":  {`{"error":{"code":502,"message":"Provider returned error"}}`, "server_error", "The upstream reported error 502: Provider returned error", 502, true},
		"a status as a text":    {`{"error":{"code":"429","message":"slow"}}`, "rate_limit_exceeded", "The upstream reported error 429: slow", 429, true},
		"a text":                {`{"error":"CUDA out of memory"}`, "server_error", "CUDA out of memory", 500, true},
		"a code":                {`{"error":{"code":"context_length_exceeded","message":"too long"}}`, "context_length_exceeded", "too long", 400, false},
		"a type":                {`{"error":{"type":"invalid_request_error","message":"bad"}}`, "invalid_prompt", "bad", 400, false},
		"an overload":           {`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, "server_error", "Overloaded", 503, true},
		"vLLM's object":         {`{"object":"error","message":"bad role","type":"BadRequestError","param":null,"code":400}`, "invalid_prompt", "The upstream reported error 400: bad role", 400, false},
		"in a choice":           {`{"choices":[{"index":0,"finish_reason":"error","error":{"code":503,"message":"no capacity"}}]}`, "server_error", "The upstream reported error 503: no capacity", 503, true},
		"beside a choice":       {`{"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":"server_error","message":"Provider disconnected"}}`, "server_error", "Provider disconnected", 500, true},
		"a list":                {`[{"error":{"code":400,"message":"Please use a valid role.","status":"INVALID_ARGUMENT"}}]`, "invalid_prompt", "The upstream reported error 400: Please use a valid role.", 400, false},
		"what the model failed": {`{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<f>"}}`, "tool_use_failed", "Failed to call a function.", 400, true},
		"with a credential":     {`{"error":{"message":"key sk-0123456789 is bad","type":"authentication_error"}}`, "upstream_unauthorized", "The upstream refused the credential configured for this model. key [redacted] is bad", 401, false},
	} {
		bodies := map[string]string{"whole": tt.doc, "an event": "data: " + tt.doc + "\n\n", "an event by its name": "event: error\ndata: " + tt.doc + "\n\n", "a line behind events": "data: " + chatChunk1 + "\n\n" + tt.doc + "\n"}
		if tt.doc[0] == '[' {
			bodies = map[string]string{"whole": tt.doc}
		} else {
			bodies["in a stream"] = "data: " + chatChunk1 + "\n\ndata: " + tt.doc + "\n\ndata: [DONE]\n\n"
		}
		for how, body := range bodies {
			for _, listen := range []model.Listen{nil, func(model.Delta) {}} {
				at := upstream(t, 200, nil, body)
				at.Credential = credential(t)
				_, err := Client{HTTP: freshClient()}.Complete(t.Context(), at, chat.Dialect{}, []byte(`{}`), Headers{}, listen)
				var got *run.Failure
				if !errors.As(err, &got) || got.Code != tt.code || got.Message != tt.message || got.HTTPStatus != tt.status || got.Retriable != tt.retry {
					t.Errorf("%s, %s: %+v, want %s %d %q", name, how, err, tt.code, tt.status, tt.message)
				}
				if got != nil && strings.Contains(string(got.Own), "sk-0123456789") {
					t.Errorf("%s: the credential is in %s", name, got.Own)
				}
			}
		}
	}
}

// A document without any part of an answer is read as an error.
func TestErrorsInPlaceOfAnswers(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"detail":[{"loc":["body","messages"],"msg":"Field required"}]}`:    "messages: Field required",
		`{"errors":[{"code":7003,"message":"No route"}],"success":false}`:    "No route",
		`{"message":"no Route matched with those values"}`:                   "no Route matched with those values",
		`{"msg":"model is busy","code":1}`:                                   "model is busy",
		`{"status":"error","description":"x is down"}`:                       "x is down",
		`{"code":"InvalidParameter","message":"Model not exist."}`:           "Model not exist.",
		`{"base_resp":{"status_code":1004}}`:                                 "the upstream's answer is malformed: it has no choice with a message",
		`{"model":"m","message":{"role":"assistant","content":"of Ollama"}}`: "the upstream's answer is malformed: it has no choice with a message",
	} {
		_, err := Client{HTTP: freshClient()}.Complete(t.Context(), upstream(t, 200, nil, doc), chat.Dialect{}, []byte(`{}`), Headers{}, nil)
		var got *run.Failure
		if !errors.As(err, &got) || got.Message != want {
			t.Errorf("%s: %+v, want %s", doc, err, want)
		}
	}
}

// Empty error members are no error.
func TestNoErrors(t *testing.T) {
	t.Parallel()
	for _, member := range []string{
		`"error":null`, `"error":""`, `"error":[]`, `"error":{}`, `"error":false`, `"error":{"message":"","code":0}`, `"error":{"code":"200","message":null}`,
		`"error":{"type":null,"param":null}`, `"errors":[]`, `"error_code":0`, `"x":{"error":"of a part"}`,
	} {
		for how, body := range map[string]string{
			"whole": strings.Replace(chatWhole, "{", "{"+member+",", 1), "stream": "data: " + strings.Replace(chatChunk2, "{", "{"+member+",", 1) + "\n\ndata: " + chatChunk3 + "\n\n",
		} {
			a, err := Client{HTTP: freshClient()}.Complete(t.Context(), upstream(t, 200, nil, body), chat.Dialect{}, []byte(`{}`), Headers{}, func(model.Delta) {})
			if err != nil || len(a.Outputs) != 1 {
				t.Errorf("%s, %s: %+v, %v", member, how, a, err)
			}
		}
	}
}
