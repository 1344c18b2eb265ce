//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

var rollingFlag = flag.Duration("rolling", 20*time.Second, "how long TestF29RollingKills kills workers")

// poisonous is the seed of a run with a step that ends its workers: its digits
// are in the step's data.
const poisonous = 987654321

// keepUp starts a service again each time its process ends, as a kubelet does,
// until ctx ends. It returns the number of ends.
func (w *world) keepUp(ctx context.Context, t *testing.T, name string, more ...string) (ends func() int) {
	t.Helper()
	n, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-w.services[name].current().ended:
			case <-ctx.Done():
				return
			}
			n++
			w.services[name].start(t, more...)
		}
	}()
	return func() int { <-done; return n }
}

// TestF29Poison holds that a step that ends every worker which takes it is
// found, and ends no more workers than it takes to suspect it; that it fails
// after five crashes alone; and that its neighbours complete.
func TestF29Poison(t *testing.T) {
	t.Parallel()
	alone(t)
	for _, tt := range []struct {
		name, service, failpoint string
		plan                     mock.Plan
		status                   string
		step                     [2]int // that is poison
	}{
		{"a turn", "loop-orchestrator", "turn_after_take", mock.Plan{Seed: poisonous}, "failed", [2]int{1, 0}},
		{"a tool call", "tool-runner", "tool_before_call", mock.Plan{Seed: poisonous, Rounds: 1}, "completed", [2]int{1, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
			armed := env("FAILPOINT", fmt.Sprintf("%s=%d", tt.failpoint, poisonous))
			w.services[tt.service].kill(t)
			w.restart(tt.service, armed)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ends := w.keepUp(ctx, t, tt.service, armed)

			id, err := w.api.submit(t.Context(), tt.plan)
			if err != nil {
				t.Fatal(err)
			}
			l := newLoad(w)
			go l.poll(ctx)
			rnd := rand.New(rand.NewPCG(1, 2))
			var o Object
			for began := time.Now(); time.Since(began) < 90*time.Second; {
				if err := l.pace(t.Context(), rnd, 5, 30*time.Millisecond, mock.Plan{Rounds: 1, Width: 2, ThinkMS: 100, ToolMS: 100}); err != nil {
					t.Fatal(err)
				}
				if o, err = w.api.object(t.Context(), id); err == nil && o.Terminal() {
					break
				}
			}
			l.settle(t, 20*time.Second)
			steps, err := w.api.steps(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			poison := 0
			for _, s := range steps {
				if strings.Contains(string(s.Error), `"poison"`) && [2]int{s.Turn, s.Index} == tt.step {
					poison = s.Attempt
				}
			}
			if o.Status != tt.status || poison != 7 {
				t.Errorf("the request is %q, and step %v poison after %d attempts; want %s, and 2 attempts beside others and 5 alone: %+v",
					o.Status, tt.step, poison, tt.status, steps)
			}
			l.check(t)
			stop()
			if n := ends(); n != 2 {
				t.Errorf("the service ended %d times, want 2: then the step runs alone", n)
			}
			t.Logf("%d neighbours completed", len(l.runs))
		})
	}
}

// TestF29RollingKills kills one of two orchestrators and of two runners each
// second, while 100 runs are in flight. None of the runs fails.
func TestF29RollingKills(t *testing.T) {
	t.Parallel()
	alone(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	for _, name := range []string{"loop-orchestrator", "tool-runner"} {
		w.add(name+"-2", name).start(t)
	}
	l := newLoad(w)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go l.poll(ctx)
	for range 100 {
		if _, err := l.submit(t.Context(), mock.Plan{Rounds: 1, Width: 1, ThinkMS: 3000, ToolMS: 3000}); err != nil {
			t.Fatal(err)
		}
	}
	kills := 0
	for began := time.Now(); time.Since(began) < *rollingFlag && pause(t.Context(), time.Second); kills++ {
		for _, name := range []string{"loop-orchestrator", "tool-runner"} {
			if kills%2 == 1 {
				name += "-2"
			}
			w.services[name].kill(t)
			w.services[name].start(t)
		}
	}
	left := len(l.unfinished())
	l.settle(t, time.Minute)
	l.check(t)
	most := 0
	for _, r := range l.runs {
		for _, s := range r.Steps {
			most = max(most, s.Attempt)
		}
	}
	t.Logf("%d kills of each service; %d of 100 runs were unfinished at the last; a step had %d attempts at most", kills, left, most)
}
