package gateway

import (
	"context"
	"net/http"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/answer"
	"windlass.dev/windlass/services/gateway/internal/auth"
	"windlass.dev/windlass/services/gateway/internal/render"
)

const (
	chatPath = "/v1/chat/completions"
	chatBody = `{"model":"m","messages":[{"role":"user","content":"hi"}],"service_tier":"flex","vendor":{"x":1}}`
)

// end settles a claimed request of one call as orchestrator and finalizer do,
// and gives the word.
func (s *stand) end(row run.Row, t run.TurnCommit) {
	s.tb.Helper()
	s.commit(row, t)
	err := s.store.Settle(s.tb.Context(), store.Settlement{ID: row.ID, Epoch: row.Epoch, Status: t.Outcome})
	if err != nil {
		s.tb.Fatal(err)
	}
	s.bus.DoneHint(run.Hex(row.ID))
}

func failedCall(why run.Failure) run.TurnCommit {
	return run.TurnCommit{Failed: true, Error: why.Encode(), Outcome: run.Failed, Reason: why.Code}
}

func TestACallIsAnsweredWithWhatTheUpstreamSaid(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for path, body := range map[string]string{
		chatPath: chatBody, "/v1/completions": `{"model":"m","prompt":"hi"}`, "/v1/embeddings": `{"model":"m","input":"hi"}`,
	} {
		answers := s.later("POST", path, body)
		row := s.claim()
		if row.Tenant != auth.DefaultTenant || row.Model != "m" || row.Endpoint.Path() != path {
			t.Errorf("%s: the row is %+v", path, row)
		}
		a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
		if err != nil || a.Stored || a.Background {
			t.Errorf("%s: the request is %+v, %v; want it unstored and in the foreground", path, a, err)
		}
		c, err := s.store.Load(t.Context(), row.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stored body", c.Body, body)
		const final = `{"id":"upstream-1","model":"m","choices":[{}]}`
		s.end(row, run.TurnCommit{Output: []byte(final), Outcome: run.Completed})
		r := receive(t, answers)
		if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" || r.header.Get("X-Request-Id") == "" ||
			r.header.Get(answer.RequestHeader) != callPrefix+run.Hex(row.ID) {
			t.Errorf("%s answered %d %v", path, r.status, r.header)
		}
		same(t, "answer", r.body, final)
	}
}

func TestACallThatFailedIsAnHTTPError(t *testing.T) {
	t.Parallel()
	s := raise(t)
	const own = `{"message":"No.","type":"BadRequestError","param":"messages","code":"too_long"}`
	for _, tt := range []struct {
		name       string
		why        run.Failure
		status     int
		code, typ  any
		retry      string // X-Should-Retry
		retryAfter string
		body       string
	}{
		{"the upstream's 400", run.Failure{Code: "too_long", HTTPStatus: 400, Own: []byte(own)}, 400, "too_long", "BadRequestError", "", "", `{"error":` + own + `}`},
		{"the upstream's 404", run.Failure{Code: "invalid_prompt", HTTPStatus: 404, Own: []byte(own)}, 404, "too_long", "BadRequestError", "", "", `{"error":` + own + `}`},
		{
			"a limit of the upstream",
			run.Failure{Code: "rate_limit_exceeded", HTTPStatus: 429, RetryAfter: 1500 * time.Millisecond, Own: []byte(own)},
			429, "too_long", "BadRequestError", "false", "2", `{"error":` + own + `}`,
		},
		{"a limit without a word", run.Failure{Code: "rate_limit_exceeded", HTTPStatus: 429, Own: []byte(own)}, 429, "too_long", "BadRequestError", "false", "", ""},
		{"the upstream's 500", run.Failure{Code: "server_error", Message: "Oops.", HTTPStatus: 500}, 502, "server_error", "server_error", "false", "", ""},
		{"the upstream's 503", run.Failure{Code: "server_error", Message: "Oops.", HTTPStatus: 503, RetryAfter: 7000 * time.Millisecond}, 502, "server_error", "server_error", "false", "7", ""},
		{"a refused credential", run.Failure{Code: "server_error", Message: "Refused.", HTTPStatus: 401}, 502, "server_error", "server_error", "false", "", ""},
		{"a malformed answer", run.Failure{Code: "server_error", Message: "Malformed.", HTTPStatus: 200}, 502, "server_error", "server_error", "false", "", ""},
		{"unreachable", run.Failure{Code: "connection_error", Message: "Away."}, 502, "connection_error", "server_error", "false", "", ""},
		{"no answer in time", run.Failure{Code: "timeout", Message: "Late."}, 504, "timeout", "server_error", "false", "", ""},
		{"the upstream's 408", run.Failure{Code: "timeout", Message: "Late.", HTTPStatus: 408, Own: []byte(own)}, 504, "timeout", "server_error", "false", "", ""},
		{"no such model any more", run.Failure{Code: "model_not_found", Message: "Gone."}, 404, "model_not_found", "invalid_request_error", "", "", ""},
		{"poison", run.Failure{Code: "poison", Message: "Given up."}, 500, "poison", "server_error", "false", "", ""},
	} {
		answers := s.later("POST", chatPath, chatBody)
		row := s.claim()
		s.end(row, failedCall(tt.why))
		r := receive(t, answers)
		f := r.fault(t)
		if r.status != tt.status || f["code"] != tt.code || f["type"] != tt.typ || f["message"] == "" ||
			r.header.Get("X-Should-Retry") != tt.retry || r.header.Get("Retry-After") != tt.retryAfter ||
			r.header.Get(answer.RequestHeader) != callPrefix+run.Hex(row.ID) {
			t.Errorf("%s: answered %d %v %s, want %d, type %v, code %v, X-Should-Retry %q, Retry-After %q",
				tt.name, r.status, r.header, r.body, tt.status, tt.typ, tt.code, tt.retry, tt.retryAfter)
		}
		if tt.body != "" {
			same(t, tt.name, r.body, tt.body)
		}
	}
	for _, line := range s.logs.All() {
		if line.Level > 0 {
			t.Errorf("an upstream's failure was logged as %s: %v", line.Level, line.ContextMap())
		}
	}
}

func TestACallPastItsDeadlineIsA504(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.Registry = models(t, 50*time.Millisecond) })
	answers := s.later("POST", chatPath, chatBody)
	eventually(t, "the deadline", func() bool {
		ids, err := s.store.PastDeadline(t.Context(), 1)
		if err != nil || len(ids) == 0 {
			return false
		}
		if err := s.store.Settle(t.Context(), store.Settlement{ID: ids[0], Status: run.Expired}); err != nil {
			t.Fatal(err)
		}
		s.bus.DoneHint(run.Hex(ids[0]))
		return true
	})
	r := receive(t, answers)
	if r.status != http.StatusGatewayTimeout || r.fault(t)["code"] != "deadline_exceeded" || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("answered %d %v %s, want 504 deadline_exceeded", r.status, r.header, r.body)
	}
}

func TestACancelledCallIsA503(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", chatPath, chatBody)
	row := s.claim()
	if err := s.store.Settle(t.Context(), store.Settlement{ID: row.ID, Tenant: auth.DefaultTenant, Status: run.Cancelled}); err != nil {
		t.Fatal(err)
	}
	s.bus.DoneHint(run.Hex(row.ID))
	r := receive(t, answers)
	if r.status != http.StatusServiceUnavailable || r.fault(t)["code"] != "request_cancelled" || r.header.Get("X-Should-Retry") != "false" {
		t.Errorf("answered %d %v %s, want 503 request_cancelled", r.status, r.header, r.body)
	}
}

func TestACallWhoseClientHangsUpIsCancelled(t *testing.T) {
	t.Parallel()
	s := raise(t)
	ctx, hangUp := context.WithCancel(t.Context())
	request := s.request(ctx, "POST", chatPath, chatBody)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		if resp, err := s.http.Do(request); err == nil {
			_ = resp.Body.Close()
			t.Errorf("answered %d, want nothing", resp.StatusCode)
		}
	}()
	row := s.claim()
	hangUp()
	<-gone
	eventually(t, "the cancel of an abandoned call", func() bool { return s.look(row.ID).Status == run.Cancelled })
}

// A gateway that drains cannot wait on, and no other could give the answer
// out.
func TestADrainAsksForACallAgain(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", chatPath, chatBody)
	row := s.claim()
	s.drain(process.ErrDraining)
	r := receive(t, answers)
	if r.status != http.StatusServiceUnavailable || r.header.Get("X-Should-Retry") != "true" || r.header.Get("Retry-After") != "1" {
		t.Errorf("answered %d %v %s, want a 503 to try again after", r.status, r.header, r.body)
	}
	s.waitEnd()
	if got := s.look(row.ID).Status; got != run.Cancelled {
		t.Errorf("the request is %s, want cancelled", got)
	}
}

// Another gateway, or this one after a restart, answers from the row.
func TestTheEndOfACallIsInItsRow(t *testing.T) {
	t.Parallel()
	s := raise(t)
	n := store.NewRequest{
		ID: [16]byte{1}, Tenant: auth.DefaultTenant, Endpoint: "chat/completions", Model: "m", Lane: "m", Body: []byte(chatBody), Timeout: time.Hour, Unstored: true,
	}
	if _, err := s.store.Accept(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	row := s.claim()
	s.end(row, failedCall(run.Failure{Code: "invalid_prompt", HTTPStatus: 422, Own: []byte(`{"message":"No.","type":"t","param":null,"code":null}`)}))
	a, err := s.answers.Read(t.Context(), auth.DefaultTenant, row.ID)
	if err != nil {
		t.Fatal(err)
	}
	f, err := render.CallFault(a)
	if err != nil || f.Status != 422 {
		t.Fatalf("callFault = %+v, %v", f, err)
	}
	same(t, "the error", f.JSON(), `{"error":{"message":"No.","type":"t","param":null,"code":null}}`)
	for _, status := range []run.Status{run.Queued, run.InProgress, run.Completed, run.Incomplete, run.Failed} {
		if f, err := render.CallFault(&answers.Answer{Status: status}); err == nil {
			t.Errorf("a request that is %s and has no answer was answered with %s", status, f.JSON())
		}
	}
}
