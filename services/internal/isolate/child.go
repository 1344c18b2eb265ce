package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrParentEnded is the cause of a context that ended with the parent.
var ErrParentEnded = errors.New("the process that started this one has ended")

// IsChild reports whether Run started this process.
func IsChild() bool { return len(os.Args) == 2 && os.Args[1] == argument }

// Serve does the task of the process that Run started: it calls work with it
// and writes its answer. The context of work ends with the parent.
func Serve(ctx context.Context, work func(ctx context.Context, task []byte) ([]byte, error)) error {
	// The kernel is to take this process first if memory is short. Best effort:
	// other systems have no such file.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	return serve(ctx, os.Stdin, os.Stdout, work)
}

func serve(
	ctx context.Context, in io.Reader, out io.Writer, work func(ctx context.Context, task []byte) ([]byte, error),
) error {
	task, err := readFrame(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { // ends with the process: a read of standard input cannot be stopped
		_, _ = io.Copy(io.Discard, in)
		cancel(ErrParentEnded)
	}()
	answer, err := work(ctx, task)
	if err != nil {
		return fmt.Errorf("do an isolated step: %w", err)
	}
	return writeFrame(out, answer)
}
