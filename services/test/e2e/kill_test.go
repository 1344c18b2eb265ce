//go:build e2e

package e2e

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// busy is the plan of most loads: 3 rounds of 4 tools, a third of them slow.
var busy = mock.Plan{Rounds: 3, Width: 4, ThinkMS: 150, ToolMS: 40, SlowEvery: 3, SlowMS: 1500}

const (
	// resumeLimit is how long a run may wait for a worker after everything is
	// back.
	resumeLimit = 5 * time.Second
	// quiet follows every fourth kill, so that one recovery is not disturbed by
	// the next kill.
	quiet = 6500 * time.Millisecond
	// unstored is how long an answer may take from the tool's last byte to the
	// step stream or the row.
	unstored = 100 * time.Millisecond
)

// TestKilledServices kills each service in turn at random moments, 40 times
// over 300 runs, and once all five together.
func TestKilledServices(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs, kills = 300, 40
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 2))
	w := newWorld(t)
	l := newLoad(w)
	stop := l.begin(t, rnd, runs, 300*time.Millisecond)
	defer stop()

	var outages []Outage
	for i := range kills {
		wait := time.Duration(rnd.Int64N(int64(700 * time.Millisecond)))
		if i%4 == 0 && i > 0 {
			wait = quiet
		}
		pause(t.Context(), wait)
		victims := services[i%len(services):][:1]
		if i == kills/2 {
			victims = services
		}
		outages = append(outages, w.killAndRestart(victims, time.Duration(rnd.Int64N(int64(500*time.Millisecond)))))
	}
	l.finishAll(t, 20*time.Second)
	calls := l.check(t)
	ledger := w.mock.Ledger()

	open := map[string]int{}
	for _, o := range outages {
		if strings.Contains(o.Name, "tool-runner") {
			open["tool"] += OpenAt("tool", o.From, unstored, ledger)
		}
		if strings.Contains(o.Name, "loop-orchestrator") {
			open["model"] += OpenAt("model", o.From, unstored, ledger)
		}
	}
	repeats := map[string]int{}
	for _, r := range l.runs {
		for _, kind := range []string{"tool", "model"} {
			repeats[kind] += Repeats(kind, calls[r.Plan.Seed])
		}
	}
	for kind, n := range repeats {
		if n > open[kind] {
			t.Errorf("%d %s calls were repeated, only %d were in flight at kills", n, kind, open[kind])
		}
	}
	worst := l.worstPause(calls, outages)
	if worst.Took > resumeLimit {
		t.Errorf("a run resumed late: %s", worst)
		l.showPause(t, worst)
	}
	t.Logf("%d runs, %d kills, 0 lost, tool calls repeated %d of %d in flight at kills, model calls %d of %d, "+
		"longest pause %s", len(l.runs), len(outages), repeats["tool"], open["tool"], repeats["model"], open["model"], worst)
}

// killAndRestart kills services at once and starts them again after a while.
func (w *world) killAndRestart(names []string, after time.Duration) Outage {
	w.t.Helper()
	o := Outage{Name: strings.Join(names, ", "), From: time.Now()}
	for _, name := range names {
		w.services[name].signal(w.t, syscall.SIGKILL)
	}
	for _, name := range names {
		w.services[name].current().awaitEnd(w.t, name)
	}
	pause(w.t.Context(), after)
	for _, name := range names {
		w.services[name].start(w.t)
	}
	for _, name := range names {
		w.services[name].awaitReady(w.t)
	}
	o.Back = time.Now()
	return o
}

// begin submits runs in the background and polls them. The returned function
// ends both.
func (l *load) begin(t *testing.T, rnd *rand.Rand, runs int, gap time.Duration) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	own := rand.New(rand.NewPCG(rnd.Uint64(), 1))
	l.submitted = make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(l.submitted)
		if err := l.pace(ctx, own, runs, gap, l.plan); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
	all.Go(func() { l.poll(ctx) })
	return func() { cancel(); all.Wait() }
}

// finishAll waits until all runs are submitted and have ended.
func (l *load) finishAll(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-l.submitted:
	case <-time.After(5 * time.Minute):
		t.Fatal("not all runs were submitted in 5 minutes")
	}
	l.settle(t, limit)
}

func (l *load) showPause(t *testing.T, p Pause) {
	t.Helper()
	t.Logf("the pause began at %s", p.From.UTC().Format(clock))
	for _, r := range l.runs {
		if r.ID == p.RunID {
			l.show(t, *r)
		}
	}
}
