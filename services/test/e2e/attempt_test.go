//go:build e2e

package e2e

import (
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// TestAttemptsOverKills holds that the audit trail counts calls whose worker
// was killed like the ledger of model and tools, both while the next attempt
// runs and at the end.
func TestAttemptsOverKills(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	plan := mock.Plan{Seed: 1, Rounds: 1, Width: 2, ThinkMS: 4000, ToolMS: 4000}
	id, err := w.api.submit(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	attempts := func() map[[2]int]int {
		steps, err := w.api.steps(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		found := map[[2]int]int{}
		for _, s := range steps {
			found[[2]int{s.Turn, s.Index}] = s.Attempt
		}
		return found
	}
	calls := func(kind string) (n int) {
		for _, e := range w.mock.Ledger() {
			if e.Kind == kind && e.Round == 0 {
				n++
			}
		}
		return n
	}
	wait := func(what string, done func() bool) {
		end := time.Now().Add(30 * time.Second)
		if !until(t.Context(), 20*time.Millisecond, func() bool { return done() || time.Now().After(end) }) || !done() {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
	for _, kill := range []struct {
		service, kind string
		calls         int
		steps         [][2]int
	}{
		{"loop-orchestrator", "model", 1, [][2]int{{1, 0}}},
		{"tool-runner", "tool", 2, [][2]int{{1, 1}, {1, 2}}},
	} {
		wait(kill.kind+" calls", func() bool { return calls(kill.kind) == kill.calls })
		w.services[kill.service].kill(t)
		w.services[kill.service].start(t)
		wait("second "+kill.kind+" calls", func() bool { return calls(kill.kind) == 2*kill.calls })
		for _, at := range kill.steps {
			if got := attempts()[at]; got != 2 {
				t.Errorf("step %v shows attempt %d while its second call runs, want 2", at, got)
			}
		}
	}
	wait("the end", func() bool {
		o, err := w.api.object(t.Context(), id)
		return err == nil && o.Status == "completed"
	})
	want := map[[2]int]int{{1, 0}: 2, {1, 1}: 2, {1, 2}: 2, {2, 0}: 1}
	got := attempts()
	for at, n := range want {
		if got[at] != n {
			t.Errorf("step %v has %d attempts, want %d", at, got[at], n)
		}
	}
	if calls("tool") != 4 || calls("model") != 2 {
		t.Errorf("%d tool and %d model calls of the first round, want 4 and 2", calls("tool"), calls("model"))
	}
}
