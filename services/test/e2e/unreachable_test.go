//go:build e2e

package e2e

import (
	"errors"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// TestF16NATSUnreachable makes NATS silent: its process is stopped, so that
// connections stay open and nothing is answered. Requests are accepted until
// the backlog is full and then refused with Retry-After, each of them soon.
// When NATS answers again, everything accepted completes. The long form lasts
// for a minute.
func TestF16NATSUnreachable(t *testing.T) {
	t.Parallel()
	alone(t)
	away, backlog := 15*time.Second, 60
	if long() {
		away = time.Minute
	}
	const limit = 2 * time.Second // for an answer, on a busy machine
	w := newWorld(t, env("WINDLASS_BACKLOG_MAX", backlog))
	l := newLoad(w)
	if _, err := l.submit(t.Context(), mock.Plan{Rounds: 1, Width: 1}); err != nil {
		t.Fatal(err)
	}
	w.nats.signal(t, syscall.SIGSTOP)
	end := time.Now().Add(away)
	var mu sync.Mutex
	accepted, refused := 0, 0
	var slowest time.Duration
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for time.Now().Before(end) && pause(t.Context(), 50*time.Millisecond) {
				p := mock.Plan{Seed: l.nextSeed(), Rounds: 1, Width: 2}
				began := time.Now()
				id, err := w.api.submit(t.Context(), p)
				took := time.Since(began)
				mu.Lock()
				slowest = max(slowest, took)
				var r *refusal
				switch {
				case err == nil:
					accepted++
					l.follow(id, p)
				case errors.As(err, &r) && r.retryAfter >= 1 &&
					(r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests):
					refused++
				default:
					t.Errorf("without NATS a request ended with %v, want an id, or 429 or 503 with Retry-After", err)
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	w.nats.signal(t, syscall.SIGCONT)
	back := time.Now()
	var poll sync.WaitGroup
	stop := l.pollUntilStopped(t, &poll)
	l.settle(t, 30*time.Second)
	took := time.Since(back)
	stop()
	l.check(t)
	if accepted < backlog*9/10 || refused == 0 || slowest > limit {
		t.Errorf("%d accepted and %d refused, slowest %s, want about %d accepted, some refused, each in %s",
			accepted, refused, slowest, backlog, limit)
	}
	t.Logf("NATS silent for %s: %d accepted, then %d refused, slowest answer %.2f s; all complete %.1f s after its return",
		away, accepted, refused, slowest.Seconds(), took.Seconds())
}
