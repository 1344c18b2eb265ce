//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// diskSize is that of NATS's disk, which a file of the test fills.
	diskSize = "size=64m"
	// fullTime is how long the disk is full.
	fullTime = 12 * time.Second
	// freedLimit is how long after the disk has room again the last run that
	// was accepted meanwhile may end, on a busy machine.
	freedLimit = 40 * time.Second
)

// TestF36JetStreamDiskFull fills the disk of NATS under load, waits until the
// claimer's readiness gives that as its reason, and frees it. All runs complete
// although nothing is restarted.
func TestF36JetStreamDiskFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a file system of a limited size")
	}
	alone(t)
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 36))
	w := newWorld(t)
	w.limitDisk(t)
	l := newLoad(w)
	l.streamed = true
	stop := l.begin(t, rnd, 200, 120*time.Millisecond)
	defer stop()
	pause(t.Context(), 3*time.Second)

	full := time.Now()
	free := w.nats.fill(t)
	l.expectUnready(t)
	saw := time.Since(full)
	pause(t.Context(), fullTime-saw)
	waiting := len(l.unfinished())
	free()
	freed := time.Now()
	l.expectReady(t)
	ready := time.Since(freed)
	l.awaitEnds(t, freed, freedLimit)
	completed := time.Since(freed)
	l.finishAll(t, freedLimit)
	l.check(t)
	t.Logf("%d runs, %d of them unfinished when the disk had room again; readiness saw the full disk after %.1f s and room after %.1f s; "+
		"the runs accepted before were complete after %.1f s; nothing was restarted, 0 lost",
		len(l.runs), waiting, saw.Seconds(), ready.Seconds(), completed.Seconds())
	if waiting == 0 {
		t.Error("no run waited for the disk; the test means to make some wait")
	}
}

// limitDisk gives NATS a disk of its own.
func (w *world) limitDisk(t *testing.T) {
	t.Helper()
	w.nats.kill(t)
	if err := os.RemoveAll(w.nats.store); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(w.nats.store, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", w.nats.store, "tmpfs", 0, diskSize); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		w.nats.stop()
		if err := syscall.Unmount(w.nats.store, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	w.nats.start(t)
	w.nats.awaitReady(t)
	for _, name := range services {
		w.services[name].awaitReady(t)
	}
}

// fill writes a file until the disk is full. The returned function removes it.
func (b *broker) fill(t *testing.T) (free func()) {
	t.Helper()
	path := filepath.Join(b.store, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("fill the disk: %v", err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// readiness returns what a service says about itself.
func (w *world) readiness(ctx context.Context, name string) (ready bool, reason string) {
	var admin string
	for _, e := range w.services[name].env {
		if value, ok := strings.CutPrefix(e, "WINDLASS_ADMIN_LISTEN="); ok {
			admin = value
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	resp, err := probe.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode == http.StatusOK, string(text)
}

// expectUnready waits until the claimer is not ready. Its log gives the reason.
func (l *load) expectUnready(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	said := ""
	if !until(ctx, 50*time.Millisecond, func() bool {
		ready, reason := l.w.readiness(ctx, "claimer")
		said = reason
		return !ready
	}) {
		t.Fatalf("the claimer is ready %s after the disk was full: %s", readyLimit, said)
	}
	if !until(ctx, 50*time.Millisecond, func() bool {
		return strings.Contains(l.w.services["claimer"].tail(1<<20), "no space left on device")
	}) {
		t.Errorf("the claimer says %q, and its log no reason", said)
	}
}

func (l *load) expectReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), freedLimit)
	defer cancel()
	for _, name := range services {
		said := ""
		if !until(ctx, 50*time.Millisecond, func() bool {
			ready, reason := l.w.readiness(ctx, name)
			said = reason
			return ready
		}) {
			t.Errorf("%s is not ready %s after the disk has room again: %s", name, freedLimit, said)
		}
	}
}

// awaitEnds waits until every run accepted before a moment has ended.
func (l *load) awaitEnds(t *testing.T, accepted time.Time, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	left := 0
	if !until(ctx, pollEvery, func() bool {
		left = 0
		for _, r := range l.unfinished() {
			if r.Accepted.Before(accepted) {
				left++
			}
		}
		return left == 0
	}) {
		t.Errorf("%d runs accepted before have not ended %s after the disk has room again", left, limit)
	}
}
