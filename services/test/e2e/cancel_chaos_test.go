//go:build e2e

package e2e

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// TestF26CancelsUnderFaults cancels runs at random moments, while services are
// killed and frozen and the servers restart: no call starts later than 2 s
// after the answer to a cancel, and no status changes after it. The long form
// makes 10,000 cancels.
func TestF26CancelsUnderFaults(t *testing.T) {
	t.Parallel()
	alone(t)
	runs, gap := 1500, 25*time.Millisecond
	if long() {
		runs = 10_000
	}
	from := seed(t)
	rnd := rand.New(rand.NewPCG(uint64(from), 26))
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "2s"))
	l := newLoad(w)
	plan := mock.Plan{Rounds: 3, Width: 2, ThinkMS: 100, ToolMS: 100, SlowEvery: 5, SlowMS: 600}

	done := make([]*cancellation, runs)
	ctx, ended := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() {
		defer ended()
		var cancels sync.WaitGroup
		for i := range runs {
			pause(t.Context(), time.Duration(rnd.Int64N(int64(2*gap))))
			wait := time.Duration(rnd.Int64N(int64(2500 * time.Millisecond)))
			cancels.Go(func() { done[i] = l.submitAndCancelSurely(t, plan, wait) })
		}
		cancels.Wait()
	})
	c := newChaos(t, w, from)
	c.killed = append([]string{"tool-runner", "tool-runner", "loop-orchestrator", "loop-orchestrator"}, services...)
	c.frozen = c.killed
	c.run(ctx, 2*time.Second)
	all.Wait()
	pause(t.Context(), startGrace+6*time.Second) // a late call starts within this time
	done = slices.DeleteFunc(done, func(c *cancellation) bool { return c == nil })
	cancelled := l.checkCancels(t, done)
	if cancelled < runs/4 {
		t.Errorf("%d of %d runs were cancelled", cancelled, runs)
	}
	t.Logf("%d cancels, %d in time, under %s", len(done), cancelled, c)
}

// submitAndCancelSurely is submitAndCancel over every outage.
func (l *load) submitAndCancelSurely(t *testing.T, p mock.Plan, wait time.Duration) *cancellation {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	r, err := l.submit(ctx, p)
	if err != nil {
		t.Error(err)
		return nil
	}
	pause(ctx, wait)
	c := &cancellation{run: r}
	answered := until(ctx, 100*time.Millisecond, func() bool {
		c.answer, err = l.w.api.cancel(ctx, r.ID)
		return err == nil
	})
	if !answered {
		t.Errorf("cancel %s: %v", r.ID, err)
		return nil
	}
	c.answered = time.Now()
	return c
}
