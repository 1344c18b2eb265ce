package localpg

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
	"windlass.dev/windlass/pkg/retry"
)

func TestKilledParentLeavesNoServer(t *testing.T) {
	t.Parallel()
	dir := localpgtest.NewDir(t)
	parent := exec.CommandContext(t.Context(), os.Args[0], "-localpg.child="+dir)
	parent.Stderr = os.Stderr
	in, err := parent.StdinPipe() // stays open, so that the child does not end by itself
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var pid, port int
	if _, err := fmt.Fscan(out, &pid, &port); err != nil {
		t.Fatalf("read what the parent printed: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait() // always "killed"

	// Started at once, the new server meets the old one on its way out.
	s := start(t, Config{DataDir: dir, Port: port})
	if s.PID() == pid {
		t.Errorf("new server has the old one's process id %d", pid)
	}
	for deadline := time.Now().Add(waitLimit); running(pid); {
		if time.Now().After(deadline) {
			t.Fatalf("server %d outlived its parent by %s", pid, waitLimit)
		}
		if !retry.Sleep(t.Context(), pollEvery) {
			t.Fatal(context.Cause(t.Context()))
		}
	}
}

// running reports whether the process executes; an ended one that no process
// has waited for has no command line.
func running(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(cmdline, []byte("postgres"))
}
