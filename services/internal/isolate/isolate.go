// Package isolate runs one step in a process of its own: the program starts
// itself again, hands the step over its standard input, and sees how that
// process ends.
//
// A step that was in flight when workers died is a suspect, and so is every
// step that was beside it. Only a suspect that ends a process in which nothing
// else ran is proven guilty, and the evidence has a witness: the process that
// started it. If both are killed, nothing is proven.
//
// It promises:
//
//   - Run returns a *Crash only if the process ended by itself: by a panic, an
//     exit, or a signal that Run did not send. An error that the step's own
//     code reports does not count, nor does the end of ctx
//     (TestRunTellsCrashesFromErrors).
//   - The process ends when its parent does (TestChildEndsWithItsParent).
//   - A process that cannot be started, for want of memory or descriptors, is
//     tried again until ctx ends.
//
// It does not tell a kill from outside from the kernel's killer of processes
// that use too much memory, which takes such a process first.
//
// Rejected: taking a suspect while the worker does nothing else. It stops the
// neighbours for as long as the step takes, and proves nothing if the worker is
// killed for other reasons.
package isolate

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/metric"
	"windlass.dev/windlass/pkg/retry"
)

// argument is the only one of a process that Run starts.
const argument = "isolated"

// exitFailed is the status of a process that reports an error; see
// process.Main. A crash has another one.
const exitFailed = 1

// drainTime is how long a process that ended may leave its output open.
const drainTime = 2 * time.Second

// startPolicy is for a process that cannot be started.
var startPolicy = retry.Policy{First: 100 * time.Millisecond, Last: 5 * time.Second}

// Crash says how an isolated process ended.
type Crash struct {
	Status string // as os.ProcessState writes it, or the value of a panic
}

func (c *Crash) Error() string { return "the step ended its process: " + c.Status }

// errUnable is the error of a process that could not do the step and said so in
// its log.
var errUnable = errors.New("the isolated process could not do the step")

// startError is the error of a process that could not be started.
type startError struct{ cause error }

func (e *startError) Error() string { return "start an isolated process: " + e.cause.Error() }
func (e *startError) Unwrap() error { return e.cause }

// Runner starts processes. Safe for concurrent use.
type Runner struct {
	slots   chan struct{}
	log     *zap.Logger
	metrics *prometheus.CounterVec
	command func(ctx context.Context) *exec.Cmd // replaced by tests
}

// New returns a Runner of so many processes at the same time.
func New(slots int, log *zap.Logger, reg prometheus.Registerer) *Runner {
	return &Runner{
		slots: make(chan struct{}, slots), log: log, command: self,
		metrics: metric.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "windlass_isolated_steps_total",
			Help: "Steps that ran in a process of their own after they were in flight when workers died, by outcome.",
		}, []string{"outcome"})),
	}
}

// self returns this program again, in its environment. Linux finds it also
// after its file was replaced.
func self(ctx context.Context) *exec.Cmd {
	path := "/proc/self/exe"
	if _, err := os.Stat(path); err != nil {
		if path, err = os.Executable(); err != nil {
			path = os.Args[0]
		}
	}
	return exec.CommandContext(ctx, path, argument)
}

// Run hands a task to a process of its own and returns what it answers; see
// Serve. It waits for a slot. An error is a *Crash, the cause of ctx, or says
// that the process could not do the task.
func (r *Runner) Run(ctx context.Context, task []byte) (answer []byte, err error) {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-r.slots }()
	err = retry.Do(ctx, startPolicy, r.notStarted, func(ctx context.Context) (err error) {
		answer, err = r.once(ctx, task)
		return err
	})
	r.metrics.WithLabelValues(outcome(ctx, err)).Inc()
	return answer, err
}

func outcome(ctx context.Context, err error) string {
	var crash *Crash
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &crash):
		return "crashed"
	case ctx.Err() != nil:
		return "stopped"
	default:
		return "failed"
	}
}

func (r *Runner) notStarted(err error) bool {
	var start *startError
	if !errors.As(err, &start) {
		return false
	}
	r.log.Warn("isolated process not started, trying again", zap.Error(err))
	return true
}

// once runs one process from its start to its end.
func (r *Runner) once(ctx context.Context, task []byte) ([]byte, error) {
	// The kernel takes the end of this thread for the parent's death.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var out bytes.Buffer
	cmd := r.command(ctx)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr, cmd.WaitDelay = &out, os.Stderr, childAttr(), drainTime
	stdin, err := cmd.StdinPipe() // open until the end, so that the process notices ours
	if err != nil {
		return nil, &startError{err}
	}
	if err := cmd.Start(); err != nil {
		return nil, &startError{err}
	}
	_ = writeFrame(stdin, task) // fails if the process has ended, and Wait says how
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil:
		return readFrame(&out)
	default:
		return nil, ended(cmd.ProcessState)
	}
}

// ended returns the error of a process that ended without an answer.
func ended(s *os.ProcessState) error {
	if status, ok := s.Sys().(syscall.WaitStatus); ok && status.Signaled() &&
		(status.Signal() == syscall.SIGTERM || status.Signal() == syscall.SIGINT) || s.ExitCode() == exitFailed {
		return fmt.Errorf("%w: %s", errUnable, s)
	}
	return &Crash{Status: s.String()}
}

// maxFrame bounds a task and an answer.
const maxFrame = 1 << 30

var errFrame = errors.New("the message of an isolated process is too long")

func writeFrame(w io.Writer, data []byte) error {
	head := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(data)), uint32(len(data)))
	_, err := w.Write(append(head, data...))
	return err
}

func readFrame(r io.Reader) ([]byte, error) {
	var size uint32
	if err := binary.Read(r, binary.BigEndian, &size); err != nil {
		return nil, fmt.Errorf("read the message of an isolated process: %w", err)
	}
	if size > maxFrame {
		return nil, errFrame
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("read the message of an isolated process: %w", err)
	}
	return data, nil
}
