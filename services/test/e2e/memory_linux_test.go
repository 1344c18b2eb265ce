//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// memoryGroup is a memory cgroup, of either version.
type memoryGroup struct{ dir, limit, kills string }

// newMemoryGroup skips the test where the account may not make a cgroup.
func newMemoryGroup(t *testing.T) memoryGroup {
	t.Helper()
	g := memoryGroup{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"}
	if _, err := os.Stat(g.dir); err != nil {
		g = memoryGroup{"/sys/fs/cgroup", "memory.max", "memory.events"}
	}
	g.dir = filepath.Join(g.dir, "windlass-e2e-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		t.Skipf("NOT TESTED: this test needs the right to make a memory cgroup: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(g.dir) })
	if _, err := os.Stat(filepath.Join(g.dir, g.limit)); err != nil {
		t.Skipf("NOT TESTED: there is no memory controller: %v", err)
	}
	return g
}

func (g memoryGroup) write(t *testing.T, name string, value any) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), fmt.Append(nil, value), 0o600); err != nil {
		t.Fatalf("write %s: %v", name, err)
	}
}

// oomKills returns how many processes of the group the kernel has killed.
func (g memoryGroup) oomKills(t *testing.T) (n int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, g.kills))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(rest)) // a number
		}
	}
	return n
}

// TestF32OutOfMemory gives one service after the other 64 MiB, or the little
// that it has, under a load of large tool results, until the kernel kills it.
// It starts again without a limit, the others go on, and no run is lost.
func TestF32OutOfMemory(t *testing.T) {
	t.Parallel()
	alone(t)
	group := newMemoryGroup(t)
	w := newWorld(t, env("WINDLASS_ACK_WAIT", "1s"))
	l := newLoad(w)
	l.plan = mock.Plan{Rounds: 2, Width: 8, ThinkMS: 50, ToolMS: 50, ToolBytes: 400_000}
	stop := l.begin(t, rand.New(rand.NewPCG(uint64(seed(t)), 32)), 120, 150*time.Millisecond)
	defer stop()
	killed := 0
	for _, name := range []string{"loop-orchestrator", "tool-runner", "finalizer"} {
		life := w.services[name].current()
		rss, err := residentMiB(life.cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		group.write(t, "cgroup.procs", life.cmd.Process.Pid)
		// What was allocated before is not charged to the group.
		group.write(t, group.limit, int64(max(64-rss, 4))<<20)
		before := group.oomKills(t)
		select {
		case <-life.ended:
			if group.oomKills(t) == before {
				t.Errorf("%s ended without the kernel's doing:\n%s", name, w.services[name].tail(logTail))
			}
			killed++
		case <-time.After(6 * time.Second): // it gets by with so little
			w.services[name].signal(t, syscall.SIGKILL)
			life.awaitEnd(t, name)
		}
		w.restart(name)
		for _, other := range services {
			if w.services[other].current().isOver() {
				t.Errorf("%s ended with %s", other, name)
			}
		}
	}
	l.finishAll(t, 30*time.Second)
	l.check(t)
	if killed == 0 {
		t.Error("the kernel killed nothing: the load is too small for this test")
	}
	t.Logf("%d runs, %d of 3 services killed for want of memory, 0 lost", len(l.runs), killed)
}
