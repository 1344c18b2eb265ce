//go:build e2e

package e2e

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/mock"
)

// TestLongModelCall holds that a call that lasts for 30 leases is made once.
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
	t.Logf("a model call of %s was made %d time", think, len(calls))
}

// TestWideAndLong runs requests at the limits: 128 calls in one turn, and 40
// turns of 50 kB.
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
	t.Logf("128 calls in one turn in %.1f s; 40 turns of 50 kB in %.1f s, %d bytes stored, %.2f times those of 20 turns",
		wide.Ended.Sub(wide.Accepted).Seconds(), whole.Ended.Sub(whole.Accepted).Seconds(), b, ratio)
}

const storedSQL = `
SELECT (SELECT COALESCE(sum(COALESCE(octet_length(input), 0) + COALESCE(octet_length(output), 0) + COALESCE(octet_length(error), 0)), 0)
          FROM steps WHERE request_id = $1)
     + (SELECT COALESCE(sum(octet_length(data)), 0) FROM bodies WHERE request_id = $1)`

// stored returns the size of a run's payloads in the database, in bytes before
// compression.
func (w *world) stored(t *testing.T, r *Run) (bytes int64) {
	t.Helper()
	id, err := requestID(r.ID)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Query(t, w.url, storedSQL, []any{id}, &bytes)
	return bytes
}

// TestZombie holds that an orchestrator that was stopped and wakes after
// another one took over its turn commits nothing, whether the other one still
// works on the turn or the run has ended.
func TestZombie(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	z := &zombie{w: w, l: newLoad(w), first: w.services["loop-orchestrator"], second: w.add("loop-orchestrator-2", "loop-orchestrator")}
	ctx, cancel := context.WithCancel(t.Context())
	polled := make(chan struct{})
	go func() { z.l.poll(ctx); close(polled) }()
	defer func() { cancel(); <-polled }()

	late := z.play(t, func(*Run) { z.l.settle(t, time.Minute) })
	early := z.play(t, func(r *Run) {
		await(t, time.Minute, "second model call", func() bool { return len(z.modelCalls(r)) == 2 })
	})
	t.Logf("a stopped orchestrator's turn was taken over; woken after the end (%.1f s) or in the middle (%.1f s) it changed "+
		"nothing", late.Seconds(), early.Seconds())
}

// zombie is an orchestrator that is stopped in a model call, and the one that
// takes over its turn.
type zombie struct {
	w             *world
	l             *load
	first, second *process
}

// play stops the first orchestrator in the middle of a turn, wakes it when wake
// returns, and checks that the turn is the second's.
func (z *zombie) play(t *testing.T, wake func(*Run)) time.Duration {
	t.Helper()
	const think = 2 * time.Second
	r, err := z.l.submit(t.Context(), mock.Plan{Rounds: 1, Width: 2, ThinkMS: int(think.Milliseconds()), ToolMS: 20})
	if err != nil {
		t.Fatal(err)
	}
	await(t, 10*time.Second, "model call", func() bool { return len(z.modelCalls(r)) == 1 })
	z.first.signal(t, syscall.SIGSTOP)
	stopped := time.Now()
	z.second.start(t)
	z.second.awaitReady(t)
	wake(r)
	before := superseded(z.first, r)
	was := r.Object
	z.first.signal(t, syscall.SIGCONT)
	// Its call was answered meanwhile: it tries to commit, finds the row
	// changed, and logs that.
	await(t, 20*time.Second, "word of the woken orchestrator on its turn", func() bool { return superseded(z.first, r) > before })
	z.l.settle(t, time.Minute)
	took := time.Since(stopped)
	z.l.check(t)
	if was.Terminal() {
		now, err := z.w.api.object(t.Context(), r.ID)
		if diff := cmp.Diff(was, now); err != nil || diff != "" {
			t.Errorf("the answer changed (-before +after the zombie woke): %v\n%s", err, diff)
		}
	}
	// A command that was sent to the stopped process costs an attempt, but no
	// call.
	if n := len(z.modelCalls(r)); n != 2 || r.Steps[0].Attempt < 2 {
		t.Errorf("the model was called %d times and attempt %d is recorded, want 2 calls, and a later attempt than the first",
			n, r.Steps[0].Attempt)
		z.l.show(t, *r)
	}
	t.Logf("attempt %d of the turn is recorded", r.Steps[0].Attempt)
	z.second.kill(t)
	return took
}

// modelCalls returns the calls of the run's first turn.
func (z *zombie) modelCalls(r *Run) []mock.Entry {
	return slices.DeleteFunc(z.w.mock.Ledger(), func(e mock.Entry) bool {
		return e.Seed != r.Plan.Seed || e.Kind != "model" || e.Round != 0
	})
}

// superseded counts the log lines of a process about a run's commands that it
// had lost.
func superseded(p *process, r *Run) int {
	n := 0
	for line := range strings.Lines(p.tail(1000)) {
		if strings.Contains(line, strings.TrimPrefix(r.ID, "resp_")) && strings.Contains(line, `"outcome":"superseded"`) {
			n++
		}
	}
	return n
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

func await(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if !until(ctx, 20*time.Millisecond, done) {
		t.Fatalf("no %s in %s", what, limit)
	}
}
