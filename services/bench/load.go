package bench

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// runLimit bounds one run, whatever the think time; a healthy one takes milliseconds beside it.
	runLimit = time.Minute
	// maxFailures ends a loop that would otherwise fail at full speed until its time is over.
	maxFailures = 20
)

// run is one request of a loop, or one pass of the plain loop.
type run struct {
	seed int64
	took time.Duration
	err  error
}

// load says what a closed loop does: runs with the seeds from first on, most of them, no new one after until.
type load struct {
	workers int
	first   int64
	most    int
	until   time.Time
}

// drive keeps the workers busy until the load is done, and returns the runs by seed with the time from the first start to the
// last end. Seeds are used without gaps.
func (l load) drive(ctx context.Context, do func(ctx context.Context, seed int64) error) ([]run, time.Duration) {
	var (
		mu       sync.Mutex
		started  int
		failures int
		runs     []run
		working  sync.WaitGroup
		began    = time.Now()
	)
	next := func() (int64, bool) {
		mu.Lock()
		defer mu.Unlock()
		if started >= l.most || failures >= maxFailures || ctx.Err() != nil || !time.Now().Before(l.until) {
			return 0, false
		}
		started++
		return l.first + int64(started-1), true
	}
	for range l.workers {
		working.Go(func() {
			for seed, more := next(); more; seed, more = next() {
				r := attempt(ctx, seed, do)
				mu.Lock()
				runs = append(runs, r)
				if r.err != nil {
					failures++
				}
				mu.Unlock()
			}
		})
	}
	working.Wait()
	took := time.Since(began)
	slices.SortFunc(runs, func(a, b run) int { return cmp.Compare(a.seed, b.seed) })
	return runs, took
}

func attempt(ctx context.Context, seed int64, do func(context.Context, int64) error) run {
	ctx, cancel := context.WithTimeoutCause(ctx, runLimit, errors.New("the run took more than "+runLimit.String()))
	defer cancel()
	began := time.Now()
	err := do(ctx, seed)
	return run{seed: seed, took: time.Since(began), err: err}
}

func times(runs []run) []time.Duration {
	took := make([]time.Duration, len(runs))
	for i, r := range runs {
		took[i] = r.took
	}
	return took
}

// added is what each run took more than the plain loop's run of the same seed.
func added(runs, direct []run) []time.Duration {
	of := make(map[int64]time.Duration, len(direct))
	for _, d := range direct {
		of[d.seed] = d.took
	}
	var more []time.Duration
	for _, r := range runs {
		if d, paired := of[r.seed]; paired {
			more = append(more, r.took-d)
		}
	}
	return more
}

// quantile is the smallest value that at least the share q of values is not above; 0 without values.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(at-1, 0), len(sorted)-1)]
}
