package stack

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"windlass.dev/windlass/pkg/spectest"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/streamcheck"
)

// Stream creates a streamed response of the plan, reads its events to the end
// and checks them.
func (s *Stack) Stream(tb testing.TB, plan mock.Plan, fields Fields) []byte {
	tb.Helper()
	all := Fields{"stream": true}
	for name, value := range fields {
		all[name] = value
	}
	raw := s.events(tb, http.MethodPost, "/v1/responses", body(tb, plan, all))
	Streamed(tb, raw)
	return raw
}

// StreamOnce is Stream with an idempotency key. Like the official SDKs it
// repeats a request that is answered with 503, twice at most.
func (s *Stack) StreamOnce(tb testing.TB, plan mock.Plan) []byte {
	tb.Helper()
	raw := s.accepted(tb, http.MethodPost, "/v1/responses", body(tb, plan, Fields{"stream": true}),
		"Idempotency-Key", rand.Text())
	Streamed(tb, raw)
	return raw
}

// Resume reads the events of a response after one of them, to the end; -1 reads
// all.
func (s *Stack) Resume(tb testing.TB, id string, after int) []byte {
	tb.Helper()
	path := "/v1/responses/" + id + "?stream=true"
	if after >= 0 {
		path += fmt.Sprintf("&starting_after=%d", after)
	}
	return s.events(tb, http.MethodGet, path, nil)
}

func (s *Stack) events(tb testing.TB, method, path string, body []byte) []byte {
	tb.Helper()
	return s.accepted(tb, method, path, body)
}

// accepted returns the answer to a request, which is repeated as read does.
func (s *Stack) accepted(tb testing.TB, method, path string, body []byte, headers ...string) []byte {
	tb.Helper()
	status, raw := s.repeat(tb, method, path, body, headers...)
	if status != http.StatusOK {
		tb.Fatalf("%s %s answered %d: %s", method, path, status, raw)
	}
	return raw
}

// Streamed checks a whole stream by the rules of streams, the specification and
// our document, and returns its terminal response.
func Streamed(tb testing.TB, raw []byte) Response {
	tb.Helper()
	for _, v := range streamcheck.Check(raw) {
		tb.Errorf("%s", v)
	}
	frames, _ := streamcheck.Frames(raw)
	var last struct{ Response json.RawMessage }
	for _, f := range frames {
		if !bytes.HasPrefix(f.Data, []byte("{")) {
			continue
		}
		if err := errors.Join(spectest.Event(tb, f.Data), openapitest.Event(tb, f.Data)); err != nil {
			tb.Errorf("%v\n%s", err, f.Data)
		}
		last.Response = nil
		if err := json.Unmarshal(f.Data, &last); err != nil {
			tb.Fatal(err)
		}
	}
	r := Response{JSON: last.Response}
	if err := json.Unmarshal(last.Response, &r); err != nil {
		tb.Fatalf("the last event has no response: %v\n%s", err, raw)
	}
	return r
}

// StreamFrom is Stream without the checks, for a test that needs the response's
// id during the stream. It may be called from a goroutine of the test.
func (s *Stack) StreamFrom(tb testing.TB, plan mock.Plan, fields Fields, id chan<- string) []byte {
	tb.Helper()
	all := Fields{"stream": true}
	for name, value := range fields {
		all[name] = value
	}
	_, resp := s.open(tb, http.MethodPost, "/v1/responses", body(tb, plan, all))
	defer func() { _ = resp.Body.Close() }()
	in := bufio.NewReader(resp.Body)
	var raw []byte
	for called := false; ; {
		line, err := in.ReadBytes('\n')
		raw = append(raw, line...)
		if err != nil {
			return raw
		}
		var created struct{ Response struct{ ID string } }
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && !called && json.Unmarshal(data, &created) == nil {
			id <- created.Response.ID
			called = true
		}
	}
}
