//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	readyLimit = 20 * time.Second
	exitLimit  = 30 * time.Second
)

// process is one program that is started several times in sequence. All its
// lives write to one log.
type process struct {
	name  string
	path  string
	args  []string
	env   []string
	log   string
	ready func(ctx context.Context) bool

	mu   sync.Mutex
	life *life
}

// life is one start of a process.
type life struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed at its end
}

// start starts the process, with more environment if given. It does not wait
// until the process is ready.
func (p *process) start(t *testing.T, more ...string) *life {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatalf("open the log of %s: %v", p.name, err)
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	cmd.Env = append(append([]string{}, p.env...), more...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr()
	l := &life{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the kernel takes the end of the thread for the parent's death; see childAttr
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the process state has the result
			close(l.ended)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life = l
	return l
}

// awaitReady fails the test unless the process gets ready or dies in time; a
// caller that needs it alive notices its death.
func (p *process) awaitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyLimit)
	defer cancel()
	if !until(ctx, 10*time.Millisecond, func() bool { return p.ready(ctx) || p.current().isOver() }) {
		t.Fatalf("%s was not ready in %s", p.name, readyLimit)
	}
}

func (p *process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// kill ends the process by SIGKILL and returns the time.
func (p *process) kill(t *testing.T) time.Time {
	t.Helper()
	at := time.Now()
	p.signal(t, syscall.SIGKILL)
	p.current().awaitEnd(t, p.name)
	return at
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := p.current().cmd.Process.Signal(s); err != nil {
		t.Errorf("signal %s: %v", p.name, err)
	}
}

// awaitEnd returns the exit status; -1 for a process ended by a signal.
func (l *life) awaitEnd(t *testing.T, name string) int {
	t.Helper()
	select {
	case <-l.ended:
		return l.cmd.ProcessState.ExitCode()
	case <-time.After(exitLimit):
		t.Fatalf("%s did not end in %s", name, exitLimit)
		return 0
	}
}

func (l *life) isOver() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// stop ends the process for good, in clean-ups.
func (p *process) stop() {
	l := p.current()
	if l == nil {
		return
	}
	_ = l.cmd.Process.Kill() // it may have ended already
	<-l.ended
}

// tail returns the end of the log.
func (p *process) tail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// answers reports whether a URL answers 200.
func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := probe.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

var probe = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// until polls until done returns true, and reports whether that was before ctx
// ended.
func until(ctx context.Context, every time.Duration, done func() bool) bool {
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(every):
		}
	}
	return true
}

// pause waits for d, and reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

var nextPort atomic.Int64

// freePort finds a port below those that the kernel uses for outgoing
// connections, so that it is still free after a kill.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20000 + (int64(os.Getpid())*97+nextPort.Add(1))%12000
		l, err := net.Listen("tcp", address(int(port)))
		if err == nil {
			_ = l.Close()
			return int(port)
		}
	}
	t.Fatal("no free port")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func env(name string, value any) string { return fmt.Sprintf("%s=%v", name, value) }
