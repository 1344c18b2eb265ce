//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg"
)

// long reports whether the long forms of tests shall run, which take minutes
// each.
func long() bool { return os.Getenv("WINDLASS_E2E_LONG") != "" } //nolint:forbidigo // a test's own switch

// chaos makes random faults in a world, one at a time. Each lasts for some
// seconds at most, and everything is ready again after it.
type chaos struct {
	t   *testing.T
	w   *world
	rnd *rand.Rand
	// killed and frozen name processes. One that is named twice is hit twice as
	// often.
	killed, frozen []string
	keepStreams    bool // NATS is never wiped
	outages        []Outage
	count          map[string]int
}

func newChaos(t *testing.T, w *world, seed int64) *chaos {
	return &chaos{t: t, w: w, rnd: rand.New(rand.NewPCG(uint64(seed), 26)), killed: services, frozen: services, count: map[string]int{}}
}

// run makes faults until ctx ends, with a pause of up to gap before each.
func (c *chaos) run(ctx context.Context, gap time.Duration) {
	c.t.Helper()
	for pause(ctx, c.upTo(gap)) {
		c.fault()
	}
}

func (c *chaos) upTo(d time.Duration) time.Duration { return time.Duration(c.rnd.Int64N(int64(d))) }

func (c *chaos) fault() {
	c.t.Helper()
	one := func(of []string) string { return of[c.rnd.IntN(len(of))] }
	var o Outage
	switch n := c.rnd.IntN(20); {
	case n < 8:
		o = c.w.killAndRestart([]string{one(c.killed)}, c.upTo(time.Second))
		o.Name = "kill " + o.Name
	case n < 15:
		o = c.freeze(one(c.frozen), time.Second+c.upTo(5*time.Second))
	case n < 17 || n < 18 && c.keepStreams:
		o = c.w.nats.crash(c.t)
		o.Name = "restart nats"
	case n < 18:
		o = c.w.nats.wipe(c.t)
		o.Name = "wipe nats"
	default:
		o = c.restartPostgres(c.upTo(2 * time.Second))
	}
	c.outages = append(c.outages, o)
	c.count[o.Name]++
}

// freeze stops a process for a while, as a machine without memory or time does.
func (c *chaos) freeze(name string, d time.Duration) Outage {
	c.t.Helper()
	o := Outage{Name: "freeze " + name, From: time.Now()}
	p := c.w.services[name]
	p.signal(c.t, syscall.SIGSTOP)
	pause(c.t.Context(), d)
	p.signal(c.t, syscall.SIGCONT)
	p.awaitReady(c.t)
	o.Back = time.Now()
	return o
}

func (c *chaos) restartPostgres(after time.Duration) Outage {
	c.t.Helper()
	o := Outage{Name: "restart postgres", From: time.Now()}
	c.w.stopPostgres(localpg.Immediate)
	pause(c.t.Context(), after)
	c.w.startPostgres()
	o.Back = time.Now()
	return o
}

func (c *chaos) String() string {
	return fmt.Sprintf("%d faults: %v", len(c.outages), c.count)
}
