//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

const (
	pollEvery   = 100 * time.Millisecond
	submitLimit = 30 * time.Second // for a gateway to accept a request, through any outage
)

// load submits plans and follows their runs.
type load struct {
	w *world

	mu   sync.Mutex
	seed int64
	runs []*Run
	open []*Run

	plan      mock.Plan     // of the runs that begin submits
	streamed  bool          // the runs are streamed without a reader
	submitted chan struct{} // closed when begin has submitted all runs
	refused   func(error)   // called with the error of every failed try; may be nil
}

func newLoad(w *world) *load { return &load{w: w, plan: busy} }

// submit sends a plan until it is accepted. A failed try may have been accepted
// without the client learning its id, so each try has its own seed.
func (l *load) submit(ctx context.Context, p mock.Plan) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, submitLimit)
	defer cancel()
	for {
		p.Seed = l.nextSeed()
		id, err := l.w.api.begin(ctx, p, l.streamed)
		if err == nil {
			return l.follow(id, p), nil
		}
		if l.refused != nil && ctx.Err() == nil {
			l.refused(err)
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, fmt.Errorf("submit for %s: %w", submitLimit, err)
		}
	}
}

func (l *load) nextSeed() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seed++
	return l.seed
}

func (l *load) follow(id string, p mock.Plan) *Run {
	r := &Run{ID: id, Plan: p, Accepted: time.Now()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs, l.open = append(l.runs, r), append(l.open, r)
	return r
}

// pace submits n plans at random moments, on average one every gap.
func (l *load) pace(ctx context.Context, rnd *rand.Rand, n int, gap time.Duration, p mock.Plan) error {
	for range n {
		if !pause(ctx, time.Duration(rnd.Int64N(int64(2*gap)))) {
			return context.Cause(ctx)
		}
		if _, err := l.submit(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// poll records the end of every run, until ctx ends. It ignores errors: they
// come from outages.
func (l *load) poll(ctx context.Context) {
	for pause(ctx, pollEvery) {
		for _, r := range l.unfinished() {
			o, err := l.w.api.object(ctx, r.ID)
			if err == nil && o.Terminal() {
				l.finish(r, o)
			}
		}
	}
}

func (l *load) unfinished() []*Run {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.open)
}

func (l *load) finish(r *Run, o Object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Ended, r.Object = time.Now(), o
	l.open = slices.DeleteFunc(l.open, func(other *Run) bool { return other == r })
}

// settle waits until every run has ended, and fails limit after the last end.
func (l *load) settle(t *testing.T, limit time.Duration) {
	t.Helper()
	left, since := -1, time.Now()
	done := until(t.Context(), pollEvery, func() bool {
		if n := len(l.unfinished()); n != left {
			left, since = n, time.Now()
		}
		return left == 0 || time.Since(since) > limit
	})
	if !done || left > 0 {
		for _, r := range l.unfinished()[:min(left, 5)] {
			l.show(t, *r)
		}
		t.Errorf("%d of %d runs did not end, none for %s", left, len(l.runs), limit)
	}
}

// check reads every run's steps, runs the checker on them, and returns the
// ledger by runs.
func (l *load) check(t *testing.T) Calls {
	t.Helper()
	calls := Index(l.w.mock.Ledger())
	broken := 0
	for _, r := range l.runs {
		l.readSteps(t, r)
		if err := CheckCompleted(*r, calls[r.Plan.Seed]); err != nil {
			t.Error(err)
			if broken++; broken <= 3 {
				l.show(t, *r)
			}
		}
	}
	return calls
}

func (l *load) readSteps(t *testing.T, r *Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var err error
	if !until(ctx, pollEvery, func() bool { r.Steps, err = l.w.api.steps(ctx, r.ID); return err == nil }) {
		t.Errorf("read the steps of %s: %v", r.ID, err)
	}
}

// show prints what is known of a failed run.
func (l *load) show(t *testing.T, r Run) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
	defer cancel()
	o, err := l.w.api.object(ctx, r.ID)
	t.Logf("run %s, seed %d, accepted %s: status %q, %v", r.ID, r.Plan.Seed, r.Accepted.Format(clock), o.Status, err)
	steps, err := l.w.api.steps(ctx, r.ID)
	for _, s := range steps {
		line, _ := json.Marshal(s) // it came from JSON
		t.Logf("  step %s", line)
	}
	if err != nil {
		t.Logf("  steps: %v", err)
	}
	for _, e := range Index(l.w.mock.Ledger())[r.Plan.Seed] {
		t.Logf("  call %s %d/%d attempt %d key %s %s - %s status %d aborted %t", e.Kind, e.Round, e.Index, e.Attempt,
			e.IdempotencyKey, e.Started.UTC().Format(clock), e.Ended.UTC().Format(clock), e.Status, e.Aborted)
	}
}

const clock = "15:04:05.000"

// worstPause returns the longest time without progress in a run.
func (l *load) worstPause(calls Calls, outages []Outage) (worst Pause) {
	for _, r := range l.runs {
		for _, p := range Pauses(*r, calls[r.Plan.Seed], outages) {
			if p.Took > worst.Took {
				worst = p
			}
		}
	}
	return worst
}

// pollUntilStopped polls in the background.
func (l *load) pollUntilStopped(t *testing.T, all *sync.WaitGroup) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	all.Go(func() { l.poll(ctx) })
	return func() { cancel(); all.Wait() }
}
