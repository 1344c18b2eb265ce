package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
)

// concluded creates a background response, brings it to its end and returns its
// public id.
func (s *stand) concluded(fields string, outcome run.Status, output string) string {
	s.tb.Helper()
	r := s.call("POST", "/v1/responses", `{"model":"m","background":true,`+fields+`}`)
	if r.status != http.StatusOK {
		s.tb.Fatalf("create answered %d: %s", r.status, r.body)
	}
	id := r.object(s.tb)["id"].(string)
	row := s.claim()
	if run.ResponseID.Format(row.ID) != id {
		s.tb.Fatalf("claimed %s, want %s", run.ResponseID.Format(row.ID), id)
	}
	switch outcome {
	case run.Cancelled:
		s.call("POST", "/v1/responses/"+id+"/cancel", "")
	default:
		s.finish(row, outcome, fmt.Sprintf(`{"id":%q,"output":[%s]}`, id, output))
	}
	return id
}

// move changes a response's row behind everybody's back.
func (s *stand) move(public, sql string) {
	s.tb.Helper()
	conn, err := pgx.Connect(s.tb.Context(), s.database)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(s.tb.Context())) }()
	id, ok := run.ResponseID.Parse(public)
	if tag, err := conn.Exec(s.tb.Context(), sql, id); err != nil || !ok || tag.RowsAffected() != 1 {
		s.tb.Fatalf("%s of %s: %v, %v", sql, public, tag, err)
	}
}

// unstored is the id of a response that ended, read from the database: the API
// does not tell it before.
func (s *stand) unstored() string {
	s.tb.Helper()
	answers := s.later("POST", "/v1/responses", `{"model":"m","input":"x","store":false}`)
	row := s.claim()
	s.finish(row, run.Completed, `{"output":[]}`)
	s.bus.DoneHint(strings.TrimPrefix(run.ResponseID.Format(row.ID), idPrefix))
	if got := receive(s.tb, answers); got.status != http.StatusOK || string(got.body) != `{"output":[]}` {
		s.tb.Fatalf("the client that waited was answered %d %s", got.status, got.body)
	}
	return run.ResponseID.Format(row.ID)
}

const call = `{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}","status":"completed"}`

func TestALongHistoryIsRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 1000 })
	large := fmt.Sprintf(`"input":%q`, strings.Repeat("x", 600))
	first := s.concluded(large, run.Completed, "")
	second := s.concluded(large+`,"previous_response_id":"`+first+`"`, run.Completed, "")
	got := s.call("POST", "/v1/responses", `{"model":"m","input":"x","background":true,"previous_response_id":"`+second+`"}`)
	if f := got.fault(t); got.status != http.StatusBadRequest || f["code"] != run.CodePreviousTooLong {
		t.Errorf("a history of 1.2 kB at a limit of 1 kB was answered %d %s", got.status, got.body)
	}
}

func TestAnUnstoredResponseIsForWhoWaitsOnly(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.unstored()
	for _, path := range []string{"GET ", "DELETE ", "POST /cancel", "GET /steps", "GET /input_items"} {
		method, tail, _ := strings.Cut(path, " ")
		got := s.call(method, "/v1/responses/"+id+tail, "")
		if f := got.fault(t); got.status != http.StatusNotFound || f["message"] != fmt.Sprintf("Response with id '%s' not found.", id) {
			t.Errorf("%s answered %d %s, want 404", path, got.status, got.body)
		}
	}
	if row := s.lookPublic(id); row.Status != run.Completed {
		t.Errorf("the row is %s, want it kept", row.Status)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.concluded(`"input":"x"`, run.Completed, "")
	running := s.background()
	s.claim()
	for _, other := range []string{running, s.background()} {
		got := s.call("DELETE", "/v1/responses/"+other, "")
		if f := got.fault(t); got.status != http.StatusBadRequest || f["code"] != "response_in_progress" {
			t.Errorf("DELETE of a response in flight answered %d %s, want 400", got.status, got.body)
		}
	}
	got := s.call("DELETE", "/v1/responses/"+id, "")
	same(t, "the answer to DELETE", got.body, `{"id":"`+id+`","object":"response","deleted":true}`+"\n")
	for _, path := range []string{"GET ", "DELETE ", "POST /cancel", "GET /steps", "GET /input_items"} {
		method, tail, _ := strings.Cut(path, " ")
		if got := s.call(method, "/v1/responses/"+id+tail, ""); got.status != http.StatusNotFound {
			t.Errorf("%s of a deleted response answered %d %s, want 404", path, got.status, got.body)
		}
	}
}

func TestDrainCancelsWhatNobodyCouldRead(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", "/v1/responses", `{"model":"m","input":"x","store":false}`)
	row := s.claim()
	s.drain(process.ErrDraining)
	got := receive(t, answers)
	if f := got.fault(t); got.status != http.StatusServiceUnavailable || f["code"] != "service_unavailable" || got.header.Get("X-Should-Retry") != "true" {
		t.Errorf("answered %d %v %s, want 503 and to be sent again", got.status, got.header, got.body)
	}
	s.waitEnd()
	if got := s.look(row.ID).Status; got != run.Cancelled {
		t.Errorf("the request is %s after the drain, want cancelled", got)
	}
}
