//go:build e2e

package e2e

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/internal/mock"
)

// TestLongModelCall is F19: a call that lasts for 30 leases is made once.
func TestLongModelCall(t *testing.T) {
	t.Parallel()
	const think = 120 * time.Second
	w := newWorld(t)
	l := newLoad(w)
	r := l.runOne(t, mock.Plan{ThinkMS: int(think.Milliseconds())}, think+30*time.Second)
	calls := l.check(t)[r.Plan.Seed]
	if len(calls) != 1 || r.Steps[0].Attempt != 1 {
		t.Errorf("a model call of %s was made %d times, want once", think, len(calls))
		l.show(t, *r)
	}
	t.Logf("Show 7: a model call of %s was made %d time", think, len(calls))
}

// TestWideAndLong runs what is at the limits: 128 calls in one turn, and 40 turns of 50 kB.
func TestWideAndLong(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t)
	l := newLoad(w)
	wide := l.runOne(t, mock.Plan{Rounds: 1, Width: 128, ToolMS: 50}, time.Minute)
	half := l.runOne(t, mock.Plan{Rounds: 20, Width: 1, ToolBytes: 50_000}, time.Minute)
	whole := l.runOne(t, mock.Plan{Rounds: 40, Width: 1, ToolBytes: 50_000}, time.Minute)
	l.check(t)
	a, b := w.stored(t, half), w.stored(t, whole)
	ratio := float64(b) / float64(a)
	if ratio > 2.2 {
		t.Errorf("40 turns take %d bytes, 20 turns %d: %.2f times as much, want 2", b, a, ratio)
	}
	t.Logf("Show 7: 128 calls in one turn in %.1f s; 40 turns of 50 kB in %.1f s, %d bytes stored, %.2f times those of 20 turns",
		wide.Ended.Sub(wide.Accepted).Seconds(), whole.Ended.Sub(whole.Accepted).Seconds(), b, ratio)
}

const storedSQL = `
SELECT (SELECT COALESCE(sum(COALESCE(octet_length(input), 0) + COALESCE(octet_length(output), 0) + COALESCE(octet_length(error), 0)), 0)
          FROM steps WHERE request_id = $1)
     + (SELECT COALESCE(sum(octet_length(data)), 0) FROM bodies WHERE request_id = $1)`

// stored is what the database keeps of a run's payloads, in bytes before compression.
func (w *world) stored(t *testing.T, r *Run) (bytes int64) {
	t.Helper()
	id, err := requestID(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Query(t, w.url, storedSQL, []any{id}, &bytes)
	return bytes
}

// TestZombie is F5: an orchestrator that was stopped and wakes after its turn was taken over commits nothing.
func TestZombie(t *testing.T) {
	t.Parallel()
	alone(t)
	const think = 2 * time.Second
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	l := newLoad(w)
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan struct{})
	go func() { l.poll(ctx); close(polled) }()
	defer func() { cancel(); <-polled }()
	r, err := l.submit(ctx, mock.Plan{Rounds: 1, Width: 2, ThinkMS: int(think.Milliseconds()), ToolMS: 20})
	if err != nil {
		t.Fatal(err)
	}
	first := w.services["loop-orchestrator"]
	within(t, 10*time.Second, "the first model call", func() bool { return OpenAt("model", time.Now(), 0, w.mock.Ledger()) == 1 })
	first.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	second := w.add("loop-orchestrator-2", "loop-orchestrator")
	second.start(t)
	second.awaitReady(t)
	l.settle(t, time.Minute)
	took := time.Since(stopped)
	before := l.check(t)
	was, steps := r.Object, r.Steps

	first.signal(t, syscall.SIGCONT)
	// Its call was answered long ago: it goes on to commit, and says so.
	within(t, 20*time.Second, "the woken orchestrator's word on its turn", func() bool {
		return strings.Contains(first.tail(200), `"outcome":"superseded"`)
	})
	after := l.check(t)[r.Plan.Seed]
	if r.Object, err = w.api.object(ctx, r.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(was, r.Object); diff != "" {
		t.Errorf("the answer changed (-before +after the zombie woke):\n%s", diff)
	}
	if diff := cmp.Diff(steps, r.Steps); diff != "" {
		t.Errorf("the steps changed (-before +after the zombie woke):\n%s", diff)
	}
	taken := 0
	for _, e := range after {
		if e.Kind == "model" && e.Round == 0 {
			taken++
		}
	}
	if taken != 2 || len(after) != len(before[r.Plan.Seed]) {
		t.Errorf("the turn's model was called %d times, want 2: by the zombie and by who took over", taken)
		l.show(t, *r)
	}
	t.Logf("Show 7: a stopped orchestrator's turn was taken over, the run ended %.1f s after the stop; woken, it changed nothing",
		took.Seconds())
}

// runOne submits a plan and waits for its end.
func (l *load) runOne(t *testing.T, p mock.Plan, limit time.Duration) *Run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan struct{})
	go func() { l.poll(ctx); close(polled) }()
	defer func() { cancel(); <-polled }()
	r, err := l.submit(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t, limit)
	return r
}

func within(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if !until(ctx, 20*time.Millisecond, done) {
		t.Fatalf("no %s in %s", what, limit)
	}
}
