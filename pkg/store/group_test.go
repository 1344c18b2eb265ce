package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
)

// together makes the calls wait for a lead of the group, so that they are sure
// to share a statement.
func together[In, Out any](t *testing.T, q *batch.Queue[In, Out], calls ...func()) {
	t.Helper()
	release := q.Hold()
	var wg sync.WaitGroup
	for _, call := range calls {
		wg.Go(call)
	}
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for waiting := 0; waiting < len(calls); {
		select {
		case <-limit:
			t.Errorf("%d of %d calls wait after 10 s", waiting, len(calls))
			waiting = len(calls)
		case <-tick.C:
			waiting = q.Waiting()
		}
	}
	release()
	wg.Wait()
}

func TestBadTurnFailsAlone(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	rows := []run.Row{runtest.Claimed(t, s), runtest.Claimed(t, s), runtest.Claimed(t, s)}
	errs := make([]error, len(rows))
	var calls []func()
	for i, r := range rows {
		c := run.TurnCommit{Fence: runtest.FenceOf(r), Steps: runtest.NewSteps(2)}
		if i == 1 {
			c.Steps = append(c.Steps, c.Steps[0]) // the same index twice
		}
		calls = append(calls, func() { _, errs[i] = s.CommitTurn(t.Context(), r, c) })
	}
	together(t, s.Turns(), calls...)
	for i, r := range rows {
		bad := i == 1
		got := runtest.Look(t, s, r.ID)
		if (errs[i] != nil) != bad || postgres.Unavailable(errs[i]) || (got.Stage == run.StageModel) != bad {
			t.Errorf("commit %d: %v, the row is at %s; want it refused: %v", i, errs[i], got.Stage, bad)
		}
	}
}

func TestManyCallsMakeFewStatements(t *testing.T) {
	t.Parallel()
	s := runtest.Open(t)
	var n atomic.Int32
	accepts := s.Accepts(&n)
	calls := make([]func(), 1000)
	for i := range calls {
		calls[i] = func() {
			if _, err := s.Accept(t.Context(), runtest.NewRequest()); err != nil {
				t.Error(err)
			}
		}
	}
	together(t, accepts, calls...)
	if got := n.Load(); got > 8 {
		t.Errorf("1000 accepts made %d statements, want 8 at most", got)
	}
	if got, err := s.Backlog(t.Context(), 2000); got != 1000 || err != nil {
		t.Errorf("Backlog = %d, %v; want 1000", got, err)
	}
}
