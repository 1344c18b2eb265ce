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

const (
	cancelLimit = time.Second     // for the answer
	startGrace  = 2 * time.Second // after the answer, for calls that were already sent
)

// cancellation is one cancel and its answer.
type cancellation struct {
	run      *Run
	answer   Object
	took     time.Duration
	answered time.Time
}

// TestCancels cancels 2,000 runs at random moments.
func TestCancels(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs, gap = 2000, 18 * time.Millisecond
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 6))
	w := newWorld(t)
	l := newLoad(w)
	plan := mock.Plan{Rounds: 3, Width: 2, ThinkMS: 100, ToolMS: 100, SlowEvery: 5, SlowMS: 600}

	done := make([]*cancellation, runs)
	var all sync.WaitGroup
	for i := range runs {
		pause(t.Context(), time.Duration(rnd.Int64N(int64(2*gap))))
		wait := time.Duration(rnd.Int64N(int64(2500 * time.Millisecond)))
		all.Go(func() { done[i] = l.submitAndCancel(t, plan, wait) })
	}
	all.Wait()
	pause(t.Context(), startGrace+2*time.Second) // a late call starts within this time
	done = slices.DeleteFunc(done, func(c *cancellation) bool { return c == nil })
	cancelled := l.checkCancels(t, done)

	slices.SortFunc(done, func(a, b *cancellation) int { return int(a.took - b.took) })
	p99, worst := done[len(done)*99/100].took, done[len(done)-1].took
	if p99 > cancelLimit {
		t.Errorf("a cancel is answered in %s at the 99th percentile, want %s", p99, cancelLimit)
	}
	if cancelled < runs/4 || cancelled == runs {
		t.Errorf("%d of %d runs were cancelled: the moments are not random", cancelled, runs)
	}
	t.Logf("%d cancels, %d in time, 0 changed status later, answered in %.0f ms at p99, %.0f ms at most",
		len(done), cancelled, p99.Seconds()*1e3, worst.Seconds()*1e3)
}

func (l *load) submitAndCancel(t *testing.T, p mock.Plan, wait time.Duration) *cancellation {
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	r, err := l.submit(ctx, p)
	if err != nil {
		t.Error(err)
		return nil
	}
	pause(ctx, wait)
	c := &cancellation{run: r}
	began := time.Now()
	if c.answer, err = l.w.api.cancel(ctx, r.ID); err != nil {
		t.Errorf("cancel %s: %v", r.ID, err)
		return nil
	}
	c.answered = time.Now()
	c.took = c.answered.Sub(began)
	return c
}

// checkCancels returns how many runs were cancelled; the others ended earlier.
func (l *load) checkCancels(t *testing.T, done []*cancellation) (cancelled int) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	calls := Index(l.w.mock.Ledger())
	for _, c := range done {
		var err error
		if c.run.Object, err = l.w.api.object(ctx, c.run.ID); err != nil {
			t.Errorf("read %s: %v", c.run.ID, err)
			continue
		}
		of := calls[c.run.Plan.Seed]
		switch c.answer.Status {
		case "cancelled":
			cancelled++
		case "completed":
			l.readSteps(t, c.run)
			if err := CheckCompleted(*c.run, of); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("run %s: the cancel answered %q", c.run.ID, c.answer.Status)
		}
		if err := CheckCancelled(*c.run, c.answer.Status, c.answered, startGrace, of); err != nil {
			t.Error(err)
			l.show(t, *c.run)
		}
	}
	return cancelled
}
