package behaviour

import (
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/e2e"
	"windlass.dev/windlass/services/test/stack"
)

// TestF26Cancels cancels runs at random moments, some of them twice: both
// callers get the same answer, which never changes, and no call starts more
// than 2 s later. The e2e tests have it under faults.
func TestF26Cancels(t *testing.T) {
	t.Parallel()
	runs, d := 200, newDice(t)
	if longForm() {
		runs = 10_000
	}
	s := stack.Start(t)
	type cancel struct {
		run      e2e.Run
		status   string
		answered time.Time
	}
	done := make([]cancel, runs)
	slots := make(chan struct{}, 16)
	var all sync.WaitGroup
	for i := range runs {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			plan := mock.Plan{Seed: int64(i + 1), Rounds: i % 3, Width: 2, ThinkMS: 20, ToolMS: 20}
			r := s.Background(t, plan, nil)
			<-time.After(time.Duration(d.intN(int(400 * time.Millisecond))))
			first := s.Cancel(t, r.ID).Status
			done[i] = cancel{e2e.Run{ID: r.ID, Plan: plan}, first, time.Now()}
			if again := s.Cancel(t, r.ID).Status; again != first {
				t.Errorf("the first cancel of %s answered %q, the second %q", r.ID, first, again)
			}
		})
	}
	all.Wait()
	<-time.After(2500 * time.Millisecond) // a late call starts within this time
	cancelled := 0
	calls := e2e.Index(s.Mock.Ledger())
	for _, c := range done {
		if c.status == "cancelled" {
			cancelled++
		}
		read(t, s, "/v1/responses/"+c.run.ID, &c.run.Object)
		if err := e2e.CheckCancelled(c.run, c.status, c.answered, 2*time.Second, calls[c.run.Plan.Seed]); err != nil {
			t.Error(err)
		}
	}
	if cancelled == 0 {
		t.Error("nothing was cancelled in time")
	}
	t.Logf("%d cancels, %d in time", runs, cancelled)
}
