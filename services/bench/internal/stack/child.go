package stack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	childStart = time.Minute
	childStop  = 15 * time.Second
	// readyMark precedes the address in a line that every child prints.
	readyMark = "ready on "
)

// child is one of the stack's processes. It ends when its standard input does,
// so that it never outlives this process.
type child struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.Closer
	address []string // the words after the mark
	reading sync.WaitGroup
}

// startChild runs the named part of this program and waits for its address.
func startChild(ctx context.Context, self []string, name string, args ...string) (*child, error) {
	line := append(append(append([]string{}, self[1:]...), name), args...)
	c := &child{name: name, cmd: exec.CommandContext(context.WithoutCancel(ctx), self[0], line...)}
	c.cmd.Stderr = os.Stderr
	stdin, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	c.stdin = stdin
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ready := make(chan []string, 1)
	c.reading.Go(func() { scan(out, ready) })
	timer := time.NewTimer(childStart)
	defer timer.Stop()
	select {
	case c.address = <-ready:
		if len(c.address) > 0 {
			return c, nil
		}
		err = errors.New("it ended before it was ready")
	case <-timer.C:
		err = fmt.Errorf("it was not ready after %s", childStart)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), c.stop())
}

// scan reads to the end, so that the child never blocks on a full pipe. It
// sends the address of the first line with the mark, or nil if there is no such
// line.
func scan(out io.Reader, ready chan<- []string) {
	told := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), readyMark); found && !told {
			ready <- strings.Fields(address)
			told = true
		}
	}
	if !told {
		ready <- nil
	}
	_, _ = io.Copy(io.Discard, out)
}

// stop terminates the child, and kills it if it does not end in time.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	_ = c.stdin.Close()
	kill := time.AfterFunc(childStop, func() { _ = c.cmd.Process.Kill() })
	c.reading.Wait() // Wait closes the pipe under a reader
	err := c.cmd.Wait()
	if !kill.Stop() {
		return fmt.Errorf("stop %s: it was killed after %s", c.name, childStop)
	}
	if err != nil {
		return fmt.Errorf("stop %s: %w", c.name, err)
	}
	return nil
}
