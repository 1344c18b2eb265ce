package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

func TestStepsAreTheAudittrail(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	path := "/v1/responses/" + id + "/steps"
	same(t, "trail of a queued request", s.call("GET", path, "").body, `{"object":"list","data":[],"has_more":false}`+"\n")
	row := s.claim()
	after := s.commit(row, run.TurnCommit{
		Output: []byte(`{"items":[{"type":"function_call","call_id":"call_1","name":"echo","arguments":"{}"}],"usage":{},"origin":"0123456789abcdef","own":{"0":{"secret":1}}}`), InputTokens: 3, OutputTokens: 4, Took: 1500 * time.Microsecond,
		Steps: []run.NewStep{
			{Index: 1, Name: "echo", Pool: "default", CallID: "call_1", Input: []byte(`{"a":"<b>"}`), InputHash: []byte{1}},
			{Index: 2, Name: "echo", Pool: "default", CallID: "call_2", Input: []byte(`{}`), InputHash: []byte{2}},
		},
	})
	step := after.Steps[0]
	_, err := s.store.CommitResults(t.Context(), []store.ToolResult{{
		ID: row.ID, Epoch: row.Epoch, Turn: step.Turn, Index: 1, Attempt: 1, CallID: "call_1", InputHash: []byte{1},
		Output: []byte("nul \x00 and \xff"), Error: []byte(`{"code":"timeout"}`), Took: 2 * time.Millisecond,
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := s.call("GET", path, "").object(t)
	isTime := cmp.FilterValues(func(a, b any) bool { return a == "a time" || b == "a time" }, cmp.Comparer(func(a, b any) bool {
		text, _ := a.(string)
		if text == "a time" {
			text, _ = b.(string)
		}
		_, err := time.Parse("2006-01-02T15:04:05.000Z", text)
		return err == nil
	}))
	want := map[string]any{"object": "list", "has_more": false, "data": []any{
		map[string]any{
			"object": "response.step", "turn": 1.0, "index": 0.0, "kind": "model", "name": "m", "state": "done", "attempt": 1.0,
			"call_id": nil, "created_at": "a time", "finished_at": "a time", "took_ms": 1.5,
			"usage": map[string]any{"input_tokens": 3.0, "output_tokens": 4.0, "total_tokens": 7.0},
			"input": []any{map[string]any{
				"type": "message", "role": "user", "status": "completed", "id": "msg_" + strings.TrimPrefix(id, "resp_") + "_in0000",
				"content": []any{map[string]any{"type": "input_text", "text": "hi"}},
			}},
			"output":       []any{map[string]any{"type": "function_call", "call_id": "call_1", "name": "echo", "arguments": "{}"}},
			"input_notice": nil, "error": nil,
		},
		map[string]any{
			"object": "response.step", "turn": 1.0, "index": 1.0, "kind": "tool", "name": "echo", "state": "failed", "attempt": 1.0,
			"call_id": "call_1", "created_at": "a time", "finished_at": "a time", "took_ms": 2.0, "usage": nil,
			"input": `{"a":"<b>"}`, "output": "nul \ufffd and \ufffd", "input_notice": nil, "error": map[string]any{"code": "timeout"},
		},
		map[string]any{
			"object": "response.step", "turn": 1.0, "index": 2.0, "kind": "tool", "name": "echo", "state": "dispatched",
			"attempt": 1.0, "call_id": "call_2", "created_at": "a time", "finished_at": nil, "took_ms": nil, "usage": nil,
			"input": `{}`, "output": nil, "input_notice": nil, "error": nil,
		},
	}}
	if diff := cmp.Diff(want, got, isTime); diff != "" {
		t.Errorf("trail differs (-want +got):\n%s", diff)
	}
}

func TestModelsAreTheRegistrys(t *testing.T) {
	t.Parallel()
	s := raise(t)
	r := s.call("GET", "/v1/models", "")
	var names []string
	for _, m := range r.object(t)["data"].([]any) {
		names = append(names, m.(map[string]any)["id"].(string))
	}
	if diff := cmp.Diff([]string{"b", "m"}, names); diff != "" || r.status != http.StatusOK {
		t.Errorf("models, status %d, differ (-want +got):\n%s", r.status, diff)
	}
}

func TestEveryExchangeIsNumberedCountedAndLogged(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	r := s.call("GET", "/v1/responses/"+id, "")
	eventually(t, "a log line of the GET", func() bool { return s.logs.FilterMessage("request served").Len() >= 2 })
	for _, line := range s.logs.FilterMessage("request served").All() {
		f := line.ContextMap()
		if f["request_id"] != strings.TrimPrefix(id, "resp_") || f["outcome"] != "200" || f["service"] != "gateway" {
			t.Errorf("log line %v, want request_id of %s, outcome 200, service gateway", f, id)
		}
		for _, field := range line.Context {
			switch field.Key {
			case "service", "request_id", "kind", "delivery", "outcome", "took", "error":
			default:
				t.Errorf("log field %q is not one of the house's", field.Key)
			}
		}
	}
	last := s.logs.FilterMessage("request served").All()[1].ContextMap()
	if last["delivery"] != r.header.Get("X-Request-Id") {
		t.Errorf("logged %v, answered with X-Request-Id %s", last["delivery"], r.header.Get("X-Request-Id"))
	}
	got := map[string]float64{}
	families, err := s.rt.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "windlass_http_requests_total" {
			for _, m := range f.GetMetric() {
				got[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"200 GET /v1/responses/{id}": 1, "200 POST /v1/responses": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests counted differ (-want +got):\n%s", diff)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.InfoLevel)
	a := httpapi.New(httpapi.Options{Log: zap.New(core), Metrics: prometheus.NewRegistry(), Tasks: new(sync.WaitGroup)})
	a.Add(httpapi.Routes{"/panic": {http.MethodGet: func(*httpapi.Exchange, *http.Request) error {
		panic("the client's secret")
	}}}, nil)
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/panic", nil))
	r := reply{status: w.Code, body: w.Body.Bytes()}
	if r.status != http.StatusInternalServerError || r.fault(t)["code"] != "server_error" {
		t.Errorf("a panic was answered %d %s, want 500 server_error", r.status, r.body)
	}
	if logs.Len() != 1 || logs.All()[0].Level != zapcore.ErrorLevel {
		t.Fatalf("a panic was logged as %v, want one error", logs.All())
	}
	if line := fmt.Sprint(logs.All()[0].ContextMap()); strings.Contains(line, "secret") || !strings.Contains(line, "read_test.go") {
		t.Errorf("log line %s, want the place and not the text", line)
	}
}
