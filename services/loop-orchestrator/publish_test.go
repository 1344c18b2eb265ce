package looporchestrator

import (
	"context"
	"net/http"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
)

// next takes one message of a kind from the bus. No claimer runs here, so that
// only the handlers under test can have published it.
func (s *stand) next(t *testing.T, work consume.Work) consume.Delivery {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	got := make(chan consume.Delivery, 1)
	err := s.Bus.Run(ctx, consume.Config{Work: work, Slots: 1, Grace: time.Second, Handle: func(_ context.Context, d consume.Delivery) error {
		select {
		case got <- d:
		default: // one that follows
		}
		stop()
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case d := <-got:
		return d
	default:
		t.Fatal("nothing was published")
		panic("unreachable")
	}
}

func TestACommittedTurnIsPublished(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.claimed(t)
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	if d := s.next(t, consume.FinalWork()); d.Final.GetRequestId() != run.Hex(row.ID) || d.Final.GetRepeat() {
		t.Errorf("published was %+v, want the first final of %s", d.Final, run.Hex(row.ID))
	}
}

// TestResultsCommittedBeforePublishTheNextTurn holds that a worker which died
// between the commit of results and their publish costs no sweep: the
// redelivered results publish the next turn. The same holds for a commit whose
// answer was lost.
func TestResultsCommittedBeforePublishTheNextTurn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		delivered int
		fault     string
	}{
		"redelivered": {delivered: 2},
		"a lost answer": {1, `CREATE SEQUENCE tries; CREATE FUNCTION bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') < 2 THEN RAISE SQLSTATE '40001'; END IF; RETURN NULL; END $$;
			CREATE TRIGGER bug BEFORE UPDATE ON steps FOR EACH STATEMENT EXECUTE FUNCTION bug()`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStand(t)
			row := s.inTools(t, "plain")
			var batch []consume.Delivery
			var results []store.ToolResult
			for i := 1; i <= 2; i++ {
				q := s.question(row)
				q.GetIdentity().Index, q.CallId = uint32(i), "call_"+string(rune('0'+i))
				q.DispatchToken = s.Publish.Key.Token(q.GetIdentity(), q.GetCallId())
				batch = append(batch, consume.Delivery{Event: resultOf(q), Delivered: tt.delivered})
				results = append(results, store.ToolResult{
					ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Index: i, Attempt: 1, CallID: q.GetCallId(),
					InputHash: []byte("hash"), Output: []byte("fine"),
				})
			}
			moved, err := s.Store.CommitResults(t.Context(), results) // and the worker dies
			if err != nil || len(moved) != 1 || moved[0].Turn != row.Turn+1 {
				t.Fatalf("CommitResults = %+v, %v, want the next turn", moved, err)
			}
			if tt.fault != "" {
				s.sql(t, tt.fault)
			}
			if err := s.results.Commit(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			d := s.next(t, consume.TurnWork("m"))
			if id := d.Turn.GetIdentity(); id.GetRequestId() != run.Hex(row.ID) || id.GetTurn() != uint32(row.Turn)+1 {
				t.Errorf("published was %+v, want turn %d of %s", d.Turn, row.Turn+1, run.Hex(row.ID))
			}
			if !d.Turn.GetRepeat() {
				t.Error("the turn is published as a first one, though the dead worker may have published it")
			}
		})
	}
}

// TestACommandOfAnEarlierAttemptCallsNoModel holds that the fence is compared
// before the call, and that what the row needs is published.
func TestACommandOfAnEarlierAttemptCallsNoModel(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	old := s.claimed(t)
	if _, err := s.Store.Raise(t.Context(), run.Fence{ID: old.ID, Epoch: old.Epoch, Turn: old.Turn, Attempt: old.Attempt}, run.NoBlame, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.deliver(t.Context(), old, 1, false); err != consume.ErrStale { //nolint:errorlint // it is returned bare
		t.Errorf("the old command = %v, want stale", err)
	}
	if n := s.calls.Load(); n != 0 {
		t.Errorf("the model was called %d times, want never", n)
	}
	if d := s.next(t, consume.TurnWork("m")); d.Turn.GetIdentity().GetAttempt() != uint32(old.Attempt)+1 || !d.Turn.GetRepeat() {
		t.Errorf("published was %+v, want a repeat of attempt %d", d.Turn, old.Attempt+1)
	}
}

// TestAParkedTurnCallsNoModelBeforeItsTime holds that a command which comes
// early, as a repeat of a sweep does, waits for its time.
func TestAParkedTurnCallsNoModelBeforeItsTime(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	s.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	row := s.claimed(t)
	if err := s.deliver(t.Context(), row, 1, false); err != nil {
		t.Fatal(err)
	}
	parked := s.look(t, row.ID)
	if parked.Attempt != row.Attempt+1 || parked.DueIn < 590*time.Second {
		t.Fatalf("the row is %+v, want it parked for as long as the upstream asks", parked)
	}
	if err := s.deliver(t.Context(), parked, 1, false); err != nil {
		t.Errorf("the parked turn's command = %v, want nil", err)
	}
	if n := s.calls.Load(); n != 1 {
		t.Errorf("the model was called %d times, want once", n)
	}
}
