package looporchestrator

import (
	"net/http"
	"testing"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
)

// TestAForgedResultIsNotCommitted holds that a result proves its call by the
// dispatch token: anybody who reads the step stream knows the rest.
func TestAForgedResultIsNotCommitted(t *testing.T) {
	t.Parallel()
	s := newStand(t)
	row := s.inTools(t, "plain")
	for name, token := range map[string][]byte{
		"none": nil, "made up": []byte("forged"),
		"another call's": s.Publish.Key.Token(s.question(row).GetIdentity(), "call_2"),
	} {
		e := resultOf(s.question(row))
		e.GetToolCompleted().DispatchToken = token
		if err := s.results.Commit(t.Context(), []consume.Delivery{{Event: e, Delivered: 1}}); err != nil {
			t.Errorf("token %s: the batch ended with %v, want the result dropped", name, err)
		}
		if now := s.look(t, row.ID); now.Pending != row.Pending || len(now.Steps) != 2 {
			t.Fatalf("token %s: the row is %+v, want it to wait for both calls", name, now)
		}
	}
	s.commit1(t, s.question(row)) // the true one
	if now := s.look(t, row.ID); now.Pending != row.Pending-1 || now.Stage != run.StageTools {
		t.Errorf("the row is %+v, want it to wait for one call", now)
	}
}

// TestAnUpstreamThatAsksToWaitPausesItsLane holds that a 429 stops the lane's
// other turns, too, and that another error does not.
func TestAnUpstreamThatAsksToWaitPausesItsLane(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{http.StatusTooManyRequests: true, http.StatusServiceUnavailable: false} {
		s := newStand(t)
		s.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "20")
			w.WriteHeader(status)
		}
		if err := s.deliver(t.Context(), s.claimed(t), 1, false); err != nil {
			t.Fatal(err)
		}
		js := s.jetStream(t)
		lane, err := js.Consumer(t.Context(), "WINDLASS_TURN", "turn_m")
		if err != nil {
			t.Fatal(err)
		}
		if got := lane.CachedInfo().Paused; got != want {
			t.Errorf("after a %d the lane is paused: %v, want %v", status, got, want)
		}
	}
}
