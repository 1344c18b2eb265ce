//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
	"windlass.dev/windlass/services/test/streamcheck"
)

// balancer gives requests to the gateways that are not being replaced, as a
// load balancer does by their readiness.
type balancer struct {
	mu   sync.Mutex
	next int
	all  map[string]*client // by process
	out  string             // the process that gets no requests
}

func (b *balancer) pick() *client {
	b.mu.Lock()
	defer b.mu.Unlock()
	names := []string{"gateway", "gateway" + second}
	b.next++
	name := names[b.next%2]
	if name == b.out {
		name = names[(b.next+1)%2]
	}
	return b.all[name]
}

func (b *balancer) take(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.out = name
}

// fleet is two processes of each service under load, each of which may be of
// another version.
type fleet struct {
	w        *world
	gateways *balancer
	l        *load
	streams  atomic.Int64
	singles  atomic.Int64
	resumed  atomic.Int64
}

func newFleet(t *testing.T, w *world) *fleet {
	t.Helper()
	w.addSecond(t)
	f := &fleet{w: w, l: newLoad(w), gateways: &balancer{all: map[string]*client{
		"gateway":          w.api,
		"gateway" + second: newClient("http://" + w.services["gateway"+second].variable("WINDLASS_LISTEN")),
	}}}
	return f
}

// begin makes requests that wait for their answers, streams and background
// requests until ctx ends. None may fail.
func (f *fleet) begin(t *testing.T, ctx context.Context) (wait func()) {
	t.Helper()
	work := context.WithoutCancel(ctx)
	var all sync.WaitGroup
	every := func(d time.Duration, do func()) {
		all.Go(func() {
			for pause(ctx, d) {
				all.Go(do)
			}
		})
	}
	every(100*time.Millisecond, func() {
		p := mock.Plan{Seed: f.l.nextSeed(), ThinkMS: 700}
		end, err := f.gateways.pick().chat(work, p, false, func() {})
		if err != nil || end.text != p.Answer() {
			t.Errorf("a request failed: %+v, %v", end, err)
		}
		f.singles.Add(1)
	})
	every(250*time.Millisecond, func() {
		p := mock.Plan{Seed: f.l.nextSeed(), Rounds: 1, Width: 2, ToolMS: 300, Tokens: 40, TokenRate: 20}
		limit, stop := context.WithTimeout(work, resumePatience)
		defer stop()
		r, err := f.gateways.pick().followBy(limit, f.gateways.pick, p)
		if err != nil {
			t.Errorf("a stream failed: %v", err)
			return
		}
		for _, v := range streamcheck.Check(r.events) {
			t.Errorf("stream %s: %s", r.id, v)
		}
		f.streams.Add(1)
		f.resumed.Add(int64(r.breaks))
	})
	every(120*time.Millisecond, func() {
		p := mock.Plan{Seed: f.l.nextSeed(), Rounds: 2, Width: 2, ThinkMS: 200, ToolMS: 200, SlowEvery: 5, SlowMS: 1500}
		id, err := f.gateways.pick().submit(work, p)
		if err != nil {
			t.Errorf("a background request was refused: %v", err)
			return
		}
		f.l.follow(id, p)
	})
	return all.Wait
}

// roll replaces every process, one at a time, by those of the binaries in dir.
func (f *fleet) roll(t *testing.T, dir string) {
	t.Helper()
	for _, suffix := range []string{"", second} {
		for _, name := range services {
			f.replace(t, name+suffix, filepath.Join(dir, name))
		}
	}
}

func (f *fleet) replace(t *testing.T, name, path string) {
	t.Helper()
	f.gateways.take(name)
	defer f.gateways.take("")
	p := f.w.services[name]
	p.signal(t, syscall.SIGTERM)
	if code := p.current().awaitEnd(t, name); code != 0 {
		t.Errorf("%s ended with %d after SIGTERM, want 0", name, code)
	}
	p.path = path
	p.start(t)
	p.awaitReady(t)
	if p.current().isOver() {
		t.Fatalf("%s of %s did not start:\n%s", name, filepath.Base(filepath.Dir(path)), p.tail(logTail))
	}
}

// finish waits for all runs and checks them.
func (f *fleet) finish(t *testing.T) {
	t.Helper()
	f.l.settle(t, 30*time.Second)
	f.l.check(t)
}

func (f *fleet) String() string {
	return fmt.Sprintf("%d requests and %d background runs, %d streams that were resumed %d times, 0 failed",
		f.singles.Load(), len(f.l.runs), f.streams.Load(), f.resumed.Load())
}

// TestF30RollingUpgrades replaces all processes three times under load: by the
// previous version, by this one, and by this one again. No request fails, no
// stream has a gap, nothing is lost.
func TestF30RollingUpgrades(t *testing.T) {
	t.Parallel()
	alone(t)
	old := previousBinaries(t)
	f := newFleet(t, newWorld(t))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wait := f.begin(t, ctx)
	polled, stopPoll := context.WithCancel(t.Context())
	var poll sync.WaitGroup
	poll.Go(func() { f.l.poll(polled) })
	defer poll.Wait()
	defer stopPoll()
	for _, dir := range []string{old, binaries, binaries} {
		began := time.Now()
		f.roll(t, dir)
		t.Logf("rolled to %s in %s", filepath.Base(dir), time.Since(began).Round(time.Second))
	}
	stop()
	wait()
	f.finish(t)
	t.Log(f)
}

// TestF31MixedVersions runs one process of each service of the previous version
// beside one of this version: everything completes, and no process ends.
func TestF31MixedVersions(t *testing.T) {
	t.Parallel()
	alone(t)
	old := previousBinaries(t)
	f := newFleet(t, newWorld(t))
	for i, name := range services { // which of the two is older differs
		f.replace(t, name+[]string{"", second}[i%2], filepath.Join(old, name))
	}
	ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
	defer stop()
	wait := f.begin(t, ctx)
	polled, stopPoll := context.WithCancel(t.Context())
	var poll sync.WaitGroup
	poll.Go(func() { f.l.poll(polled) })
	defer poll.Wait()
	defer stopPoll()
	wait()
	f.finish(t)
	for name, p := range f.w.services {
		if p.current().isOver() {
			t.Errorf("%s has ended:\n%s", name, p.tail(logTail))
		}
	}
	t.Log(f)
}
