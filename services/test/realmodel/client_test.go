//go:build realmodel

package realmodel

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"windlass.dev/windlass/services/test/streamcheck"
)

// object is a JSON body.
type object = map[string]any

// response has the fields that the tests read.
type response struct {
	ID, Status string
	Error      *struct{ Code, Message string }
	Incomplete *struct{ Reason string } `json:"incomplete_details"`
	Output     []item
	Usage      struct {
		Input  int `json:"input_tokens"`
		Output int `json:"output_tokens"`
	}
}

type item struct {
	Type, Name, Arguments, Output string
	CallID                        string `json:"call_id"`
	Content                       []struct{ Text string }
}

// text returns the model's text.
func (r *response) text() string {
	var said strings.Builder
	for _, it := range r.Output {
		for _, c := range it.Content {
			said.WriteString(c.Text)
		}
	}
	return said.String()
}

// of returns the items of one type.
func (r *response) of(kind string) (found []item) {
	for _, it := range r.Output {
		if it.Type == kind {
			found = append(found, it)
		}
	}
	return found
}

// reason returns why the response is incomplete.
func (r *response) reason() string {
	if r.Incomplete == nil {
		return ""
	}
	return r.Incomplete.Reason
}

// do sends a request and returns the status and the body.
func do(t *testing.T, method, path string, body any) (int, []byte) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, stack.api+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer wl-dev")
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v after %d bytes", method, path, err, len(answer))
	}
	return resp.StatusCode, answer
}

// create makes a response and waits for its end.
func create(t *testing.T, body object) *response {
	t.Helper()
	code, answer := do(t, http.MethodPost, "/v1/responses", body)
	r := &response{}
	if err := json.Unmarshal(answer, r); err != nil || code != http.StatusOK {
		t.Fatalf("the response answered %d %s, %v", code, answer, err)
	}
	t.Logf("%s %s: %.120q, %d in, %d out", r.Status, r.reason(), r.text(), r.Usage.Input, r.Usage.Output)
	return r
}

// stream makes a streamed response, checks the stream, and returns the response
// of its last event and the number of deltas.
func stream(t *testing.T, body object) (*response, int) {
	t.Helper()
	body["stream"] = true
	code, raw := do(t, http.MethodPost, "/v1/responses", body)
	if code != http.StatusOK {
		t.Fatalf("the stream answered %d %s", code, raw)
	}
	for _, v := range streamcheck.Check(raw) {
		t.Errorf("the stream breaks a rule: %s", v)
	}
	r, deltas := &response{}, 0
	frames, _ := streamcheck.Frames(raw)
	for _, f := range frames {
		var event struct {
			Type     string
			Response json.RawMessage
		}
		if json.Unmarshal(f.Data, &event) != nil {
			continue // [DONE]
		}
		if strings.HasSuffix(event.Type, ".delta") {
			deltas++
		}
		if event.Response != nil {
			*r = response{}
			if err := json.Unmarshal(event.Response, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%s %s: %.120q, %d deltas", r.Status, r.reason(), r.text(), deltas)
	return r, deltas
}

// ended fails the test unless the response ended by itself or by its token
// limit.
func ended(t *testing.T, r *response) {
	t.Helper()
	if r.Status != "completed" && r.reason() != "max_output_tokens" {
		t.Fatalf("the response is %s %s with %+v", r.Status, r.reason(), r.Error)
	}
}
