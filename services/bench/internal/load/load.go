// Package load drives a closed loop: a number of workers with one run in flight
// each.
package load

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// RunLimit bounds one run. A healthy run takes milliseconds, plus its think
	// time.
	RunLimit = time.Minute
	// maxFailures ends a loop that would otherwise fail at full speed until its
	// time is over.
	maxFailures = 20
)

// Run is one request of a loop, or one pass of the plain loop.
type Run struct {
	Seed int64
	Took time.Duration
	Err  error
}

// Load says what a loop does: at most Most runs, with the seeds from First on,
// and no new run after Until.
type Load struct {
	Workers int
	First   int64
	Most    int
	Until   time.Time
}

// Drive runs the loop. It returns the runs by seed, without gaps, and the time
// from the first start to the last end.
func (l Load) Drive(ctx context.Context, do func(ctx context.Context, seed int64) error) ([]Run, time.Duration) {
	var (
		mu       sync.Mutex
		started  int
		failures int
		runs     []Run
		working  sync.WaitGroup
		began    = time.Now()
	)
	next := func() (int64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if started >= l.Most || failures >= maxFailures || ctx.Err() != nil || !time.Now().Before(l.Until) {
			return 0, false
		}
		started++
		return l.First + int64(started-1), true
	}
	for range l.Workers {
		working.Go(func() {
			for seed, more := next(); more; seed, more = next() {
				r := measure(ctx, seed, do)
				mu.Lock()
				runs = append(runs, r)
				if r.Err != nil {
					failures++
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	took := time.Since(began)
	slices.SortFunc(runs, func(a, b Run) int { return cmp.Compare(a.Seed, b.Seed) })
	return runs, took
}

func measure(ctx context.Context, seed int64, do func(context.Context, int64) error) Run {
	ctx, cancel := context.WithTimeoutCause(ctx, RunLimit, errors.New("the run took more than "+RunLimit.String()))
	defer cancel()
	began := time.Now()
	err := do(ctx, seed)
	return Run{Seed: seed, Took: time.Since(began), Err: err}
}
