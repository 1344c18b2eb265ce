package isolate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
)

// TestMain is also the program that Run starts. Its task says what to do.
func TestMain(m *testing.M) {
	if !IsChild() {
		os.Exit(m.Run())
	}
	if err := Serve(context.Background(), act); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitFailed)
	}
	os.Exit(0)
}

func act(ctx context.Context, task []byte) ([]byte, error) {
	switch string(task) {
	case "panic":
		panic("as the task says")
	case "exit":
		os.Exit(137)
	case "fail":
		return nil, io.ErrUnexpectedEOF
	case "hang":
		<-ctx.Done()
		return nil, context.Cause(ctx)
	case "killed", "terminated":
		signal := map[string]syscall.Signal{"killed": syscall.SIGKILL, "terminated": syscall.SIGTERM}[string(task)]
		_ = syscall.Kill(os.Getpid(), signal)
		<-ctx.Done()
	}
	return append([]byte("did "), task...), nil
}

func TestRunTellsCrashesFromErrors(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	r := New(2, zap.NewNop(), reg)
	for task, want := range map[string]string{
		"panic": "crash", "exit": "crash", "killed": "crash", "fail": "unable", "terminated": "unable",
		"work": "", "more work " + strings.Repeat("x", 1<<20): "",
	} {
		answer, err := r.Run(t.Context(), []byte(task))
		var crash *Crash
		switch {
		case want == "" && (err != nil || string(answer) != "did "+task):
			t.Errorf("Run(%.10q) = %.10q, %v", task, answer, err)
		case want == "crash" && !errors.As(err, &crash):
			t.Errorf("Run(%q) = %v, want a crash", task, err)
		case want == "unable" && !errors.Is(err, errUnable):
			t.Errorf("Run(%q) = %v, want %v", task, err, errUnable)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 200*time.Millisecond, io.ErrClosedPipe)
	defer cancel()
	if _, err := r.Run(ctx, []byte("hang")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Run of a task that hangs = %v, want the cause of its context", err)
	}
	for outcome, want := range map[string]float64{"done": 2, "crashed": 3, "failed": 2, "stopped": 1} {
		if got := testutil.ToFloat64(r.metrics.WithLabelValues(outcome)); got != want {
			t.Errorf("%v tasks %s, want %v", got, outcome, want)
		}
	}
}

func TestRunWaitsForMemoryAndDescriptors(t *testing.T) {
	t.Parallel()
	r := New(1, zap.NewNop(), prometheus.NewRegistry())
	starts := 0
	r.command = func(ctx context.Context) *exec.Cmd {
		if starts++; starts < 3 {
			return &exec.Cmd{Err: syscall.EMFILE}
		}
		return self(ctx)
	}
	answer, err := r.Run(t.Context(), []byte("work"))
	if err != nil || string(answer) != "did work" || starts != 3 {
		t.Errorf("Run = %q, %v after %d starts, want an answer after the third", answer, err, starts)
	}
}

func TestChildEndsWithItsParent(t *testing.T) {
	t.Parallel()
	in, parent := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(t.Context(), in, io.Discard, act) }()
	if err := writeFrame(parent, []byte("hang")); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		t.Fatalf("serve = %v before its parent ended", err)
	case <-time.After(50 * time.Millisecond):
	}
	_ = parent.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, ErrParentEnded) {
			t.Errorf("serve = %v, want %v", err, ErrParentEnded)
		}
	case <-time.After(20 * time.Second):
		t.Error("serve goes on without its parent")
	}
}

func TestFramesAreBounded(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{"empty": "", "cut": "\x00\x00\x00\x05abc", "huge": "\xff\xff\xff\xff"} {
		if got, err := readFrame(strings.NewReader(data)); err == nil {
			t.Errorf("%s: readFrame = %q", name, got)
		}
	}
	var b bytes.Buffer
	if err := writeFrame(&b, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := readFrame(&b); err != nil || len(got) != 0 {
		t.Errorf("an empty frame = %q, %v", got, err)
	}
}
