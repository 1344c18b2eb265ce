//go:build e2e

package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// services are the binaries' names.
var services = []string{"gateway", "claimer", "loop-orchestrator", "tool-runner", "finalizer"}

var (
	seedFlag = flag.Int64("seed", 0, "seed of the random choices; 0 takes one from the clock")
	binaries string // the directory they are built into
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == natsCommand {
		os.Exit(serveNATS(os.Args[2:]))
	}
	flag.Parse()
	// Tests mostly wait, especially for each other (see alone), and must not
	// delay the start of the longest.
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(suite(m))
}

func suite(m *testing.M) int {
	dir, err := os.MkdirTemp("", "wl-e2e-bin-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries = dir
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := []string{"build", "-o", dir + "/"}
	for _, name := range services {
		args = append(args, "windlass.dev/windlass/services/cmd/"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: build the services: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// heavy is held by one test at a time that loads the machine, so that its
// figures are undisturbed.
var heavy = make(chan struct{}, 1)

// alone waits for heavy; the whole binary's time limit bounds the wait.
func alone(t *testing.T) {
	t.Helper()
	select {
	case heavy <- struct{}{}:
		t.Cleanup(func() { <-heavy })
	case <-t.Context().Done():
		t.Fatal("the test ended before its turn came")
	}
}

// seed returns the test's seed and prints it, so that the run can be repeated.
func seed(t *testing.T) int64 {
	t.Helper()
	s := *seedFlag
	if s == 0 {
		s = time.Now().UnixNano() % 1e9
	}
	t.Logf("seed %d", s)
	return s
}
