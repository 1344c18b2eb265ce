//go:build e2e

package e2e

import (
	"math/rand/v2"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// lossLimit is how long a run may wait after a loss: a row's check comes at
// most 4 s after its last change, or with the alarm of the watch, which runs
// every second.
const lossLimit = 8 * time.Second

// TestLostStreams makes JetStream lose everything it stores, in every possible
// way, under load.
func TestLostStreams(t *testing.T) {
	t.Parallel()
	alone(t)
	const runs = 300
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 3))
	w := newWorld(t)
	l := newLoad(w)
	l.plan.ToolFaults = []mock.Fault{{Round: 1, Index: 2, Times: 1, Status: 503}} // a retry is parked in the row and keeps its key
	stop := l.begin(t, rnd, runs, 130*time.Millisecond)
	defer stop()

	var outages []Outage
	for _, lose := range []func(*testing.T) Outage{
		w.nats.purge, w.nats.deleteConsumers, w.nats.crash, w.nats.purge, w.nats.wipe, w.nats.deleteConsumers, w.nats.purge,
	} {
		pause(t.Context(), 4*time.Second+time.Duration(rnd.Int64N(int64(3*time.Second))))
		outages = append(outages, lose(t))
	}
	l.finishAll(t, 40*time.Second)
	calls := l.check(t)
	worst := l.worstPause(calls, outages)
	if worst.Took > lossLimit {
		t.Errorf("a run resumed late: %s", worst)
		l.showPause(t, worst)
	}
	repeats := 0
	for _, r := range l.runs {
		repeats += Repeats("tool", calls[r.Plan.Seed])
	}
	t.Logf("%d runs, 3 purges, 1 wiped store, 1 crash, 2 deletions of all consumers, 0 lost, %d tool calls repeated, longest pause %s",
		len(l.runs), repeats, worst)
}
