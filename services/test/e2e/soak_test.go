//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var (
	soakFlag = flag.Duration("soak", 40*time.Second, "how long TestF42Soak lasts")
	soakDir  = flag.String("soak.out", "", "the directory to which TestF42Soak writes its curves; none if empty")
)

// second is the suffix of the processes that a soak kills. The first ones live
// through all of it, so that what leaks in them is seen.
const second = "-2"

// TestF42Soak runs a mixed load with faults for as long as -soak says: two
// processes of each service, of which the second ones are killed and the first
// ones frozen, while NATS and Postgres restart. It holds that every accepted
// request ends as it should, and that memory, goroutines, descriptors,
// connections, tables and streams are as large in the last quarter as in the
// second.
func TestF42Soak(t *testing.T) {
	t.Parallel()
	alone(t)
	from := seed(t)
	keep := min(max(*soakFlag/8, 10*time.Second), time.Minute) // requests
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "2s"), env("WINDLASS_RETENTION", keep), env("WINDLASS_RETENTION_UNSTORED", "10s"))
	s := newSoak(t, w, from)
	c := newChaos(t, w, from)
	c.keepStreams, c.frozen, c.killed = true, services, nil
	for _, name := range services {
		c.killed = append(c.killed, name+second)
	}
	ctx, stop := context.WithTimeout(t.Context(), 2*keep+*soakFlag)
	defer stop()
	var load sync.WaitGroup
	load.Go(func() { s.run(ctx) })
	checks, stopChecks := context.WithCancel(t.Context())
	defer stopChecks()
	var checker sync.WaitGroup
	checker.Go(func() { s.l.poll(checks) })
	checker.Go(func() { s.check(checks, keep/4) })

	pause(ctx, 2*keep) // fills the tables
	curves := s.watch(ctx, c)
	load.Wait()
	s.l.settle(t, 60*time.Second)
	stopChecks()
	checker.Wait()
	s.checkEnded(context.WithoutCancel(checks))
	if *soakDir != "" {
		curves.write(t, *soakDir)
	}
	t.Logf("%s; %s\n%s", s, c, curves)
	curves.checkFlat(t)
}

// watch makes faults and samples until ctx ends.
func (s *soak) watch(ctx context.Context, c *chaos) *curves {
	every := min(max(*soakFlag/360, time.Second), 5*time.Second)
	gap := min(max(*soakFlag/60, 2*time.Second), 15*time.Second)
	curves := &curves{began: time.Now()}
	next := time.Now().Add(gap)
	for pause(ctx, every) {
		curves.add(s.sample())
		if time.Now().After(next) {
			c.fault()
			next = time.Now().Add(c.upTo(2 * gap))
		}
	}
	return curves
}

// sample measures everything once. No fault happens meanwhile.
func (s *soak) sample() sample {
	s.t.Helper()
	m := sample{}
	for _, name := range services {
		if s.w.services[name].current().isOver() {
			s.t.Fatalf("%s, which is not killed, has ended", name)
		}
		m.addProcess(s.t, name, s.w.services[name])
	}
	m.addDatabase(s.t, s.w.url)
	s.w.nats.addTo(s.t, m)
	return m
}

// write writes the curves as CSV and as text.
func (c *curves) write(t *testing.T, dir string) {
	t.Helper()
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "soak.csv"), []byte(c.csv()), 0o600)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "soak.txt"), []byte(fmt.Sprintln(c)), 0o600)
	}
	if err != nil {
		t.Errorf("write the curves: %v", err)
	}
}
