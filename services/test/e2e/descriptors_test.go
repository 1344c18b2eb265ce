//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// limitDescriptors lets a process open no more than so many descriptors beside
// those that it has. It returns the inverse.
func (p *process) limitDescriptors(t *testing.T, more int) (restore func()) {
	t.Helper()
	pid := strconv.Itoa(p.current().cmd.Process.Pid)
	open, err := os.ReadDir("/proc/" + pid + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	set := func(soft int) {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), "prlimit", "--pid", pid, fmt.Sprintf("--nofile=%d:", soft)).CombinedOutput()
		if err != nil {
			t.Fatalf("prlimit: %v\n%s", err, out)
		}
	}
	set(len(open) + more)
	return func() { set(4096) }
}

// TestF33Descriptors takes the descriptors of each service in turn. The gateway
// answers 503 or accepts; no run fails or counts an attempt, and everything
// completes once there are descriptors again, without a restart.
func TestF33Descriptors(t *testing.T) {
	t.Parallel()
	alone(t)
	const short = 12 * time.Second // longer than the attempts of a model or tool take
	w := newWorld(t)
	l := newLoad(w)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go l.poll(ctx)
	plan := mock.Plan{Rounds: 2, Width: 4, ThinkMS: 50, ToolMS: 50}
	for _, name := range services {
		refused := map[int]int{}
		l.refused = func(err error) {
			if r, ok := err.(*refusal); ok { //nolint:errorlint // it is returned bare
				refused[r.status]++
			}
		}
		w.services[name].kill(t) // so that it has no connections in store
		w.restart(name)
		restore := w.services[name].limitDescriptors(t, 0)
		began := time.Now()
		unready := false
		for time.Since(began) < short {
			submit, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			_, _ = l.submit(submit, plan) // refused by a gateway without connections
			cancel()
			unready = unready || !w.services[name].ready(t.Context())
			pause(t.Context(), 200*time.Millisecond)
		}
		if w.services[name].current().isOver() {
			t.Fatalf("%s ended without descriptors", name)
		}
		restore()
		for status := range refused {
			if status != http.StatusServiceUnavailable {
				t.Errorf("without descriptors of %s a client got %d", name, status)
			}
		}
		w.services[name].awaitReady(t)
		if _, err := l.submit(t.Context(), plan); err != nil {
			t.Errorf("after the shortage of %s: %v", name, err)
		}
		l.settle(t, 20*time.Second)
		t.Logf("%s: unready %t, refusals %v, %d runs so far", name, unready, refused, len(l.runs))
	}
	l.check(t)
	for _, r := range l.runs {
		for _, s := range r.Steps {
			if s.Attempt != 1 {
				t.Errorf("run %s: step %d.%d has %d attempts, want 1: a shortage is not its failure", r.ID, s.Turn, s.Index, s.Attempt)
			}
		}
	}
}
