package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/store"
)

// concluded creates a background response, brings it to its end and returns its public id.
func (s *stand) concluded(fields string, outcome store.Status, output string) string {
	s.tb.Helper()
	r := s.call("POST", "/v1/responses", `{"model":"m","background":true,`+fields+`}`)
	if r.status != http.StatusOK {
		s.tb.Fatalf("create answered %d: %s", r.status, r.body)
	}
	id := r.object(s.tb)["id"].(string)
	row := s.claim()
	if publicID(row.ID) != id {
		s.tb.Fatalf("claimed %s, want %s", publicID(row.ID), id)
	}
	switch outcome {
	case store.Cancelled:
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
	id, ok := parseID(public)
	if tag, err := conn.Exec(s.tb.Context(), sql, id); err != nil || !ok || tag.RowsAffected() != 1 {
		s.tb.Fatalf("%s of %s: %v, %v", sql, public, tag, err)
	}
}

// unstored is the id of a response that ended, read from the database: the API does not tell it before.
func (s *stand) unstored() string {
	s.tb.Helper()
	answers := s.later("POST", "/v1/responses", `{"model":"m","input":"x","store":false}`)
	row := s.claim()
	s.finish(row, store.Completed, `{"output":[]}`)
	s.bus.DoneHint(strings.TrimPrefix(publicID(row.ID), idPrefix))
	if got := receive(s.tb, answers); got.status != http.StatusOK || string(got.body) != `{"output":[]}` {
		s.tb.Fatalf("the client that waited was answered %d %s", got.status, got.body)
	}
	return publicID(row.ID)
}

const call = `{"type":"function_call","id":"fc_1","call_id":"c1","name":"f","arguments":"{}","status":"completed"}`

func TestPreviousResponseIsChecked(t *testing.T) {
	t.Parallel()
	s := raise(t)
	said := `{"type":"mcp_call","id":"mcp_1","name":"f","arguments":"{}"},{"type":"message","role":"assistant","content":[]}`
	done := s.concluded(`"input":"x"`, store.Completed, said)
	asks := s.concluded(`"input":"x"`, store.Completed, call)
	foreign := s.concluded(`"input":"x"`, store.Completed, said)
	gone := s.concluded(`"input":"x"`, store.Completed, said)
	orphan := s.concluded(`"input":"x","previous_response_id":"`+gone+`"`, store.Completed, said)
	s.move(foreign, `UPDATE requests SET tenant = 'other' WHERE id = $1`)
	if r := s.call("DELETE", "/v1/responses/"+gone, ""); r.status != http.StatusOK {
		t.Fatalf("DELETE answered %d %s", r.status, r.body)
	}
	ends := map[store.Status]string{}
	for _, status := range []store.Status{store.Incomplete, store.Failed, store.Cancelled} {
		ends[status] = s.concluded(`"input":"x"`, status, said)
	}
	expired := s.concluded(`"input":"x"`, store.Cancelled, "")
	s.move(expired, `UPDATE requests SET status = 'expired' WHERE id = $1`)
	unknown, hidden := publicID(uuid.New()), s.unstored()
	running := s.background()
	s.claim()
	queued := s.background()
	const (
		output  = `[{"type":"function_call_output","call_id":"c1","output":"1"}]`
		missing = "Previous response with id '%s' not found."
	)
	for _, tt := range []struct {
		name, previous, input string
		code                  any
		message               string // %s: the id; empty: accepted
	}{
		{"completed", done, `"hi"`, nil, ""},
		{"completed, without input", done, ``, nil, ""},
		{"incomplete", ends[store.Incomplete], `"hi"`, nil, ""},
		{"a call answered", asks, output, nil, ""},
		{"a call answered behind a message", asks, `[{"role":"user","content":"x"},` + output[1:], nil, ""},
		{"malformed", "resp_1", `"hi"`, previousNotFound, missing},
		{"no response id", "x", `"hi"`, previousNotFound, missing},
		{"unknown", unknown, `"hi"`, previousNotFound, missing},
		{"another tenant's", foreign, `"hi"`, previousNotFound, missing},
		{"deleted", gone, `"hi"`, previousNotFound, missing},
		{"its parent deleted", orphan, `"hi"`, previousNotFound, fmt.Sprintf(missing, gone)},
		{"not stored", hidden, `"hi"`, previousNotFound, missing},
		{"queued", queued, `"hi"`, previousNotReady, "Previous response with id '%s' is still queued. Continue it when it is completed."},
		{"in progress", running, `"hi"`, previousNotReady, "Previous response with id '%s' is still in_progress. Continue it when it is completed."},
		{"failed", ends[store.Failed], `"hi"`, previousFailed, "Previous response with id '%s' is failed and cannot be continued."},
		{"cancelled", ends[store.Cancelled], `"hi"`, previousFailed, "Previous response with id '%s' is cancelled and cannot be continued."},
		{"expired", expired, `"hi"`, previousFailed, "Previous response with id '%s' is failed and cannot be continued."},
		{"a call not answered", asks, `"hi"`, nil, "No tool output found for function call c1."},
		{"a call not answered, without input", asks, ``, nil, "No tool output found for function call c1."},
		{
			"an output without call", done, output, nil, "No tool call found for function call output with call_id c1.",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := `{"model":"m","background":true,"previous_response_id":"` + tt.previous + `"`
			if tt.input != "" {
				body += `,"input":` + tt.input
			}
			got := s.call("POST", "/v1/responses", body+"}")
			if tt.message == "" {
				if o := got.object(t); got.status != http.StatusOK || o["previous_response_id"] != tt.previous {
					t.Errorf("answered %d %s, want 200 with the previous response's id", got.status, got.body)
				}
				return
			}
			f, param, message := got.fault(t), "previous_response_id", tt.message
			if tt.code == nil {
				param = "input"
			}
			if strings.Contains(message, "%s") {
				message = fmt.Sprintf(message, tt.previous)
			}
			if got.status != http.StatusBadRequest || f["param"] != param || f["code"] != tt.code || f["message"] != message {
				t.Errorf("answered %d %s, want 400, param %s, code %v, %s", got.status, got.body, param, tt.code, message)
			}
		})
	}
}

func TestALongHistoryIsRefused(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.MaxBody = 1000 })
	large := fmt.Sprintf(`"input":%q`, strings.Repeat("x", 600))
	first := s.concluded(large, store.Completed, "")
	second := s.concluded(large+`,"previous_response_id":"`+first+`"`, store.Completed, "")
	got := s.call("POST", "/v1/responses", `{"model":"m","input":"x","background":true,"previous_response_id":"`+second+`"}`)
	if f := got.fault(t); got.status != http.StatusBadRequest || f["code"] != previousTooLong {
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
	if row := s.lookPublic(id); row.Status != store.Completed {
		t.Errorf("the row is %s, want it kept", row.Status)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.concluded(`"input":"x"`, store.Completed, "")
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
	if got := s.look(row.ID).Status; got != store.Cancelled {
		t.Errorf("the request is %s after the drain, want cancelled", got)
	}
}
