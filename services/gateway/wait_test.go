package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
)

const foreground = `{"model":"m","input":"hi"}`

func TestForegroundIsAnsweredOnTheHint(t *testing.T) {
	t.Parallel()
	s := raise(t) // polls once an hour
	answers := s.later("POST", "/v1/responses", foreground)
	row := s.claim()
	const final = `{"id":"resp_x","object":"response","status":"completed"}`
	s.finish(row, run.Completed, final)
	s.bus.DoneHint(run.Hex(row.ID))
	r := receive(t, answers)
	if r.status != http.StatusOK {
		t.Errorf("status %d, want 200", r.status)
	}
	same(t, "answer", r.body, final)
}

func TestForegroundIsAnsweredOnThePollWithoutAHint(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) { c.PollInterval = 20 * time.Millisecond })
	answers := s.later("POST", "/v1/responses", foreground)
	const final = `{"status":"failed"}`
	s.finish(s.claim(), run.Failed, final)
	r := receive(t, answers)
	if r.status != http.StatusOK {
		t.Errorf("status %d, want 200 with the failed response", r.status)
	}
	same(t, "answer", r.body, final)
}

func TestForegroundWaitsOnAfterAFalseHint(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", "/v1/responses", foreground)
	row := s.claim()
	s.bus.DoneHint(run.Hex(row.ID))
	s.bus.DoneHint("no id")
	s.finish(row, run.Completed, `{"a":1}`)
	s.bus.DoneHint(run.Hex(row.ID))
	same(t, "answer", receive(t, answers).body, `{"a":1}`)
}

func TestForegroundPastItsDeadlineFails(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) {
		c.PollInterval = 20 * time.Millisecond
		c.Registry = models(t, 50*time.Millisecond)
	})
	answers := s.later("POST", "/v1/responses", foreground)
	eventually(t, "the deadline", func() bool {
		ids, err := s.store.PastDeadline(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 {
			return false
		}
		err = s.store.Settle(t.Context(), store.Settlement{ID: ids[0], Status: run.Expired, Reason: "deadline_exceeded"})
		return err == nil
	})
	r := receive(t, answers)
	o := r.object(t)
	failure, _ := o["error"].(map[string]any)
	if r.status != http.StatusOK || o["status"] != "failed" || failure["code"] != "deadline_exceeded" {
		t.Errorf("answer %d %s, want 200, failed, deadline_exceeded", r.status, r.body)
	}
}

func TestForegroundThatHangsUpIsCancelled(t *testing.T) {
	t.Parallel()
	for name, inProgress := range map[string]bool{"queued": false, "in progress": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := raise(t)
			hints := make(chan string, 1)
			stop, err := s.bus.OnCancel(func(id string) { hints <- id })
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			if err := s.bus.Ready(t.Context()); err != nil { // the subscription is on the server
				t.Fatal(err)
			}
			ctx, hangUp := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			request := s.request(ctx, "POST", "/v1/responses", foreground)
			go func() {
				resp, err := s.http.Do(request)
				if err == nil {
					_ = resp.Body.Close()
				}
				gone <- err
			}()
			if inProgress {
				s.claim()
			} else {
				eventually(t, "a queued request", func() bool { return s.backlog() == 1 })
			}
			hangUp()
			if err := <-gone; err == nil {
				t.Error("the client that hung up got an answer")
			}
			select {
			case hint := <-hints:
				id, err := run.ParseHex(hint)
				if err != nil {
					t.Fatal(err)
				}
				if row := s.look(id); row.Status != run.Cancelled || !row.Live {
					t.Errorf("row is %s, live %v; want cancelled, live for its after-work", row.Status, row.Live)
				}
			case <-time.After(patienceOfTests):
				t.Error("no cancel hint")
			}
		})
	}
}

func TestBackgroundThatHangsUpGoesOn(t *testing.T) {
	t.Parallel()
	s := raise(t)
	id := s.background()
	s.http.CloseIdleConnections()
	row := s.claim()
	s.finish(row, run.Completed, `{"ok":true}`)
	same(t, "answer", s.call("GET", "/v1/responses/"+id, "").body, `{"ok":true}`)
}

func TestDrainTellsWaitersWhereTheirAnswerWillBe(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", "/v1/responses", foreground)
	row := s.claim()
	s.drain(process.ErrDraining)
	r := receive(t, answers)
	message, _ := r.fault(t)["message"].(string)
	if r.status != http.StatusServiceUnavailable || !strings.Contains(message, run.ResponseID.Format(row.ID)) {
		t.Errorf("answer %d %q, want 503 and %s", r.status, message, run.ResponseID.Format(row.ID))
	}
	if r.header.Get("Retry-After") != "1" || r.header.Get("X-Should-Retry") != "true" {
		t.Errorf("headers %v, want Retry-After 1, X-Should-Retry true", r.header)
	}
	s.waitEnd()
	if got := s.look(row.ID).Status; got != run.InProgress {
		t.Errorf("the request is %s after the drain, want it to go on", got)
	}
}

func TestDrainLetsWaitersWaitWithinItsGrace(t *testing.T) {
	t.Parallel()
	s := raise(t, func(c *Config) {
		c.DrainGrace, c.PollInterval = patienceOfTests, 20*time.Millisecond
	})
	answers := s.later("POST", "/v1/responses", foreground)
	row := s.claim()
	s.drain(process.ErrDraining)
	eventually(t, "the end of accepting", func() bool {
		resp, err := s.http.Do(s.request(t.Context(), "GET", "/v1/models", ""))
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	})
	s.finish(row, run.Completed, `{"late":true}`)
	same(t, "answer", receive(t, answers).body, `{"late":true}`)
	s.waitEnd()
}
