package stack

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
)

// Fields are members of a request body. A nil value removes a default member.
type Fields map[string]any

// Response is the response object, as JSON and decoded.
type Response struct {
	JSON       json.RawMessage   `json:"-"`
	ID         string            `json:"id"`
	Status     string            `json:"status"`
	Background bool              `json:"background"`
	Output     []Item            `json:"output"`
	Metadata   map[string]string `json:"metadata"`
	Error      *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
	Incomplete *struct {
		Reason string `json:"reason"`
	} `json:"incomplete_details"`
	Usage *struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
	} `json:"usage"`
}

// Item is an output item. Output is nil if it is null, and Error has the object
// as JSON.
type Item struct {
	Type        string          `json:"type"`
	ID          string          `json:"id"`
	Status      string          `json:"status"`
	CallID      string          `json:"call_id"`
	ServerLabel string          `json:"server_label"`
	Namespace   string          `json:"namespace"`
	Name        string          `json:"name"`
	Arguments   string          `json:"arguments"`
	Input       string          `json:"input"` // of a custom tool's call
	Output      *string         `json:"output"`
	Error       json.RawMessage `json:"error"`
	Content     []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	} `json:"content"`
}

// Step is a line of the audit trail.
type Step struct {
	Turn    int     `json:"turn"`
	Index   int     `json:"index"`
	Kind    string  `json:"kind"`
	Name    string  `json:"name"`
	State   string  `json:"state"`
	Attempt int     `json:"attempt"`
	CallID  *string `json:"call_id"`
	Input   any     `json:"input"`  // text for a tool, items for a model
	Output  any     `json:"output"` // like Input
	Usage   *struct {
		Input  int64 `json:"input_tokens"`
		Output int64 `json:"output_tokens"`
	} `json:"usage"`
	Error *struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		HTTPStatus int    `json:"http_status"`
		Attempt    int    `json:"attempt"`
	} `json:"error"`
}

// Text returns the model's last text.
func (r Response) Text() string {
	for _, it := range slices.Backward(r.Output) {
		if it.Type == "message" && len(it.Content) > 0 {
			return it.Content[0].Text
		}
	}
	return ""
}

// Calls returns the output items of one type, in order.
func (r Response) Calls(typ string) []Item {
	return slices.DeleteFunc(slices.Clone(r.Output), func(it Item) bool { return it.Type != typ })
}

// Ask creates a foreground response of the plan and returns its end. It offers
// the registered tools, unless fields say otherwise.
func (s *Stack) Ask(tb testing.TB, plan mock.Plan, fields Fields) Response {
	tb.Helper()
	return s.read(tb, http.MethodPost, "/v1/responses", body(tb, plan, fields))
}

// Background creates a background response of the plan and returns the answer
// to its acceptance.
func (s *Stack) Background(tb testing.TB, plan mock.Plan, fields Fields) Response {
	tb.Helper()
	all := Fields{"background": true}
	for name, value := range fields {
		all[name] = value
	}
	// With a key, so that a request that is answered with 503 can be repeated.
	return s.read(tb, http.MethodPost, "/v1/responses", body(tb, plan, all), "Idempotency-Key", rand.Text())
}

// Get reads a response.
func (s *Stack) Get(tb testing.TB, id string) Response {
	tb.Helper()
	return s.read(tb, http.MethodGet, "/v1/responses/"+id, nil)
}

// Wait polls a response until it is terminal. Like the official SDKs it repeats
// a poll that is answered with 503, twice at most: on a loaded machine Postgres
// can take longer than the gateway waits for it.
func (s *Stack) Wait(tb testing.TB, id string) (r Response) {
	tb.Helper()
	unavailable := 0
	s.await(tb, "the end of "+id, func() bool {
		status, text := s.Do(tb, http.MethodGet, "/v1/responses/"+id, nil)
		if status == http.StatusServiceUnavailable && unavailable < 2 {
			unavailable++
			return false
		}
		unavailable = 0
		r = decode(tb, "GET "+id, status, text)
		return r.Status != "queued" && r.Status != "in_progress"
	})
	return r
}

// Cancel cancels a background response.
func (s *Stack) Cancel(tb testing.TB, id string) Response {
	tb.Helper()
	return s.read(tb, http.MethodPost, "/v1/responses/"+id+"/cancel", nil)
}

// Steps reads the audit trail of a response.
func (s *Stack) Steps(tb testing.TB, id string) []Step {
	tb.Helper()
	return s.trail(tb, "/v1/responses/"+id+"/steps")
}

// CallSteps reads the audit trail of a request that is one model call, by the
// header that came with its answer.
func (s *Stack) CallSteps(tb testing.TB, answer http.Header) []Step {
	tb.Helper()
	return s.trail(tb, "/v1/requests/"+answer.Get("Windlass-Request-Id")+"/steps")
}

func (s *Stack) trail(tb testing.TB, path string) []Step {
	tb.Helper()
	status, text := s.Do(tb, http.MethodGet, path, nil)
	var list struct{ Data []Step }
	if err := json.Unmarshal(text, &list); err != nil || status != http.StatusOK {
		tb.Fatalf("%s answered %d: %s", path, status, text)
	}
	return list.Data
}

// Calls returns the mock's calls of one plan, in order of arrival. kind is that
// of the entries.
func (s *Stack) Calls(kind string, seed int64) []mock.Entry {
	return slices.DeleteFunc(s.Mock.Ledger(), func(e mock.Entry) bool { return e.Kind != kind || e.Seed != seed })
}

// Do is Send without headers.
func (s *Stack) Do(tb testing.TB, method, path string, body []byte) (status int, text []byte) {
	tb.Helper()
	status, _, text = s.Send(tb, method, path, body)
	return status, text
}

// Send sends a request with the key and reads the answer, which must conform to
// the OpenAPI document. headers are names and values in turn.
func (s *Stack) Send(
	tb testing.TB, method, path string, body []byte, headers ...string,
) (status int, header http.Header, text []byte) {
	tb.Helper()
	r, resp := s.open(tb, method, path, body, headers...)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatalf("read the answer to %s %s: %v", method, path, err)
	}
	openapitest.Answer(tb, r, resp.StatusCode, resp.Header, text)
	return resp.StatusCode, resp.Header, text
}

// open sends a request with the key; the caller closes the answer's body.
func (s *Stack) open(
	tb testing.TB, method, path string, body []byte, headers ...string,
) (*http.Request, *http.Response) {
	tb.Helper()
	r, err := http.NewRequestWithContext(tb.Context(), method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		tb.Fatalf("make a request: %v", err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Key)
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := s.http.Do(r)
	if err != nil {
		tb.Fatalf("%s %s: %v", method, path, err)
	}
	return r, resp
}

// read sends a request whose answer is a response object, and checks the
// object.
func (s *Stack) read(tb testing.TB, method, path string, body []byte, headers ...string) Response {
	tb.Helper()
	status, text := s.repeat(tb, method, path, body, headers...)
	return decode(tb, method+" "+path, status, text)
}

// repeat sends a request. Like the official SDKs it repeats what is answered
// with 503, twice at most, if that is safe: a GET, a cancel, and a POST with an
// idempotency key.
func (s *Stack) repeat(
	tb testing.TB, method, path string, body []byte, headers ...string,
) (status int, text []byte) {
	tb.Helper()
	status, _, text = s.Send(tb, method, path, body, headers...)
	safe := method == http.MethodGet || strings.HasSuffix(path, "/cancel") || len(headers) > 0
	for range 2 {
		if status != http.StatusServiceUnavailable || !safe {
			break
		}
		<-time.After(time.Second) // as Retry-After says
		status, _, text = s.Send(tb, method, path, body, headers...)
	}
	return status, text
}

// decode fails the test unless the answer to what is a valid response.
func decode(tb testing.TB, what string, status int, text []byte) Response {
	tb.Helper()
	r := Response{JSON: bytes.TrimSpace(text)}
	if err := json.Unmarshal(text, &r); err != nil || status != http.StatusOK {
		tb.Fatalf("%s answered %d: %s", what, status, text)
	}
	conforms(tb, r)
	return r
}

// body returns a request of the plan.
func body(tb testing.TB, plan mock.Plan, fields Fields) []byte {
	tb.Helper()
	all := Fields{
		"model": "mock", "input": plan.Prompt(),
		"tools": []Fields{{"type": "mcp", "server_label": "windlass"}},
	}
	for name, value := range fields {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		tb.Fatalf("encode a request: %v", err)
	}
	return b
}

// conforms checks a response object.
func conforms(tb testing.TB, r Response) {
	tb.Helper()
	if err := spectest.Response(tb, r.JSON); err != nil {
		tb.Errorf("%v\n%s", err, r.JSON)
	}
	for _, call := range r.Calls("mcp_call") { // unknown to the specification
		if !strings.HasPrefix(call.ID, "mcp_") {
			tb.Errorf("an mcp_call has the id %q: %s", call.ID, r.JSON)
		}
	}
}
