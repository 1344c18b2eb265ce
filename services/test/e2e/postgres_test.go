//go:build e2e

package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg"
)

const (
	// refusalLimit is how long a client may wait for the refusal while the
	// database is away, on a busy machine.
	refusalLimit = 1500 * time.Millisecond
	// returnLimit is how long after Postgres is back the gateway may refuse
	// requests.
	returnLimit = 10 * time.Second
)

// TestRestartedPostgres crashes and restarts Postgres three times under load.
func TestRestartedPostgres(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs, crashes = 150, 3
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 4))
	w := newWorld(t)
	l := newLoad(w)
	l.refused = func(err error) {
		var r *refusal
		if !errors.As(err, &r) || r.status != http.StatusServiceUnavailable || r.retryAfter < 1 {
			t.Errorf("a request was refused with %v, want 503 and Retry-After", err)
		}
	}
	stop := l.begin(t, rnd, runs, 180*time.Millisecond)
	defer stop()

	var outages []Outage
	refusals := 0
	var slowest, longest time.Duration
	for range crashes {
		pause(t.Context(), 5*time.Second+time.Duration(rnd.Int64N(int64(2*time.Second))))
		o := Outage{Name: "postgres", From: time.Now()}
		w.stopPostgres(localpg.Immediate)
		n, took := w.refuses(t, 2*time.Second)
		refusals, slowest = refusals+n, max(slowest, took)
		w.startPostgres()
		o.Back = time.Now()
		outages = append(outages, o)
		longest = max(longest, w.takesAgain(t))
	}
	l.finishAll(t, 30*time.Second)
	calls := l.check(t)
	worst := l.worstPause(calls, outages)
	if worst.Took > returnLimit {
		t.Errorf("a run resumed late: %s", worst)
		l.showPause(t, worst)
	}
	t.Logf("%d runs, %d crashes of Postgres, 0 lost, %d refusals, all 503 with Retry-After, slowest %.2f s, "+
		"taking requests again after %.2f s, longest pause %s",
		len(l.runs), crashes, refusals, slowest.Seconds(), longest.Seconds(), worst)
}

// refuses sends requests to the gateway for d while the database is away. It
// returns the number of answers and the longest time of one.
func (w *world) refuses(t *testing.T, d time.Duration) (n int, slowest time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	end := time.Now().Add(d)
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				var err error
				if i%2 == 0 {
					_, err = w.api.submit(ctx, busy)
				} else {
					_, err = w.api.object(ctx, "resp_0190f3a2b4c57d8e9f0011223344556a")
				}
				took := time.Since(began)
				var r *refusal
				if !errors.As(err, &r) || r.status != http.StatusServiceUnavailable || r.retryAfter < 1 || took > refusalLimit {
					t.Errorf("without Postgres the answer is %v after %s, want 503 with Retry-After in %s", err, took, refusalLimit)
				}
				mu.Lock()
				n, slowest = n+1, max(slowest, took)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return n, slowest
}

// takesAgain waits until the gateway reads the database again.
func (w *world) takesAgain(t *testing.T) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), returnLimit)
	defer cancel()
	began := time.Now()
	back := until(ctx, 10*time.Millisecond, func() bool {
		_, err := w.api.object(ctx, "resp_0190f3a2b4c57d8e9f0011223344556a")
		var r *refusal
		return errors.As(err, &r) && r.status == http.StatusNotFound
	})
	if !back {
		t.Errorf("requests were not taken again in %s", returnLimit)
	}
	return time.Since(began)
}
