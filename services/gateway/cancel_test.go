package gateway

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
)

func TestCancelIsFinalWhenAnswered(t *testing.T) {
	t.Parallel()
	for name, claimed := range map[string]bool{"queued": false, "in progress": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := raise(t)
			id := s.background()
			var row run.Row
			if claimed {
				row = s.claim()
			}
			first := s.call("POST", "/v1/responses/"+id+"/cancel", "")
			if o := first.object(t); first.status != http.StatusOK || o["status"] != "cancelled" || o["completed_at"] != nil {
				t.Fatalf("cancel answered %d %s, want 200 and cancelled", first.status, first.body)
			}
			if got := s.lookPublic(id); got.Status != run.Cancelled || !got.Live {
				t.Errorf("row is %s, live %v; want cancelled, live", got.Status, got.Live)
			}
			if claimed {
				_, err := s.store.CommitTurn(t.Context(), row, run.TurnCommit{
					Fence: run.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}, Outcome: run.Completed,
				})
				if err == nil {
					t.Error("a turn was committed after the cancel")
				}
			}
			second := s.call("POST", "/v1/responses/"+id+"/cancel", "")
			read := s.call("GET", "/v1/responses/"+id, "")
			if second.status != http.StatusOK || read.status != http.StatusOK {
				t.Errorf("second cancel and GET answered %d and %d, want 200", second.status, read.status)
			}
			same(t, "second cancel", second.body, string(first.body))
			same(t, "GET", read.body, string(first.body))
		})
	}
}

func TestCancelPublishesTheFinalAndPurgesTheTurn(t *testing.T) {
	t.Parallel()
	s := raise(t)
	if err := s.bus.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: "m", Concurrency: 1}}}); err != nil {
		t.Fatal(err)
	}
	id := s.background()
	if _, err := (dispatch.Publisher{Bus: s.bus}).Publish(t.Context(), false, s.claim()); err != nil {
		t.Fatal(err)
	}
	s.call("POST", "/v1/responses/"+id+"/cancel", "")
	ctx, stop := context.WithTimeout(t.Context(), patienceOfTests)
	defer stop()
	finals := make(chan *stepv1.FinalCommand, 1)
	err := s.bus.Run(ctx, consume.Config{Work: consume.FinalWork(), Slots: 1, Handle: func(_ context.Context, d consume.Delivery) error {
		finals <- d.Final
		stop()
		return nil
	}})
	if err != nil || len(finals) != 1 {
		t.Fatalf("waiting for a final command ended with %v and %d of them, want 1", err, len(finals))
	}
	if got := <-finals; run.ResponseID.Format(uuid.MustParse(got.GetRequestId())) != id || got.GetEpoch() != 1 {
		t.Errorf("final of %s, epoch %d; want %s, 1", got.GetRequestId(), got.GetEpoch(), id)
	}
	eventually(t, "the purge of the queued turn", func() bool {
		waiting, inFlight, err := s.bus.LaneLoad(t.Context(), "m")
		return err == nil && waiting+inFlight == 0
	})
}

func TestCancelOfWhatHasEndedReturnsIt(t *testing.T) {
	t.Parallel()
	s := raise(t)
	for _, outcome := range []run.Status{run.Completed, run.Incomplete, run.Failed} {
		id := s.background()
		final := `{"status":"` + string(outcome) + `"}`
		s.finish(s.claim(), outcome, final)
		r := s.call("POST", "/v1/responses/"+id+"/cancel", "")
		if r.status != http.StatusOK {
			t.Errorf("cancel of a %s response answered %d, want 200", outcome, r.status)
		}
		same(t, "answer", r.body, final)
		if got := s.lookPublic(id).Status; got != outcome {
			t.Errorf("the row is %s after the cancel, want %s", got, outcome)
		}
	}
}

func TestCancelOfAForegroundResponseIsRefused(t *testing.T) {
	t.Parallel()
	s := raise(t)
	answers := s.later("POST", "/v1/responses", foreground)
	row := s.claim()
	r := s.call("POST", "/v1/responses/"+run.ResponseID.Format(row.ID)+"/cancel", "")
	if f := r.fault(t); r.status != http.StatusBadRequest || f["message"] != "Cannot cancel a synchronous response." {
		t.Errorf("answered %d %s, want 400", r.status, r.body)
	}
	if got := s.look(row.ID).Status; got != run.InProgress {
		t.Errorf("the row is %s, want in_progress", got)
	}
	s.finish(row, run.Completed, `{}`)
	s.bus.DoneHint(strings.TrimPrefix(run.ResponseID.Format(row.ID), "resp_"))
	receive(t, answers)
}
