package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/child"
	"windlass.dev/windlass/pkg/retry"
)

// ErrPortTaken means that Config.Port is not free.
var ErrPortTaken = errors.New("port is taken")

const (
	// A start takes 0.2 s; the rest is room for a predecessor's last checkpoint
	// and for crash recovery.
	startLimit = time.Minute
	leaveLimit = 10 * time.Second // for a predecessor to say that it stops, or for the processes of a dead one to end
	stopLimit  = 10 * time.Second // to clear away a server that did not come up
	portTries  = 3                // a free port can be taken by another before postgres binds it
)

// pollEvery is the time between two reads of the server's pid file.
const pollEvery = 20 * time.Millisecond

// errExited means that postgres ended before it was ready.
var errExited = errors.New("postgres ended at its start")

// launcher starts postgres on a locked data directory with a finished cluster.
type launcher struct {
	binDir   string
	dir      *dataDir
	port     int
	settings map[string]string
	password string
}

// run starts postgres until it is ready, an attempt fails for a reason that
// does not pass, or the time is up.
func (l *launcher) run(ctx context.Context) (*Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %s", startLimit))
	defer cancel()
	leaveBy := time.Now().Add(leaveLimit)
	for try := 1; ; {
		_, before := l.dir.readPIDFile()
		s, err := l.try(ctx)
		if err == nil {
			return s, nil
		}
		if !errors.Is(err, errExited) && !errors.Is(err, ErrPortTaken) {
			return nil, err
		}
		// postgres removes its own pid file when it ends; one that is still
		// there is a predecessor's.
		other, left := l.dir.readPIDFile()
		switch {
		case left && (other.leaving() || time.Now().Before(leaveBy)):
			if !retry.Sleep(ctx, 5*pollEvery) {
				return nil, errors.Join(err, context.Cause(ctx))
			}
		case left && other.alive():
			return nil, fmt.Errorf("%w (process %d): %w", ErrRunning, other.pid, err)
		case before && !left: // it was in the way, and has gone meanwhile
		case l.port == 0 && try < portTries:
			try++
		default:
			return nil, err
		}
	}
}

// try starts postgres once and waits until it is ready. After a failure no
// process is left.
func (l *launcher) try(ctx context.Context) (*Server, error) {
	port, err := freePort(ctx, l.port)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(l.dir.log(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("find end of log: %w", err), log.Close())
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(l.binDir, "postgres"),
		serverArgs(l.binDir, l.dir.cluster(), port, l.settings)...)
	cmd.Stdout, cmd.Stderr = log, log
	prepare(cmd, l.dir.acct)
	s := &Server{port: port, password: l.password, ended: make(chan struct{}), done: make(chan struct{})}
	up := make(chan bool, 1)
	if err := l.spawn(s, cmd, up); err != nil {
		return nil, errors.Join(fmt.Errorf("run postgres: %w", err), log.Close())
	}
	err = l.awaitReady(ctx, s)
	up <- err == nil
	if err != nil {
		err = errors.Join(err, clearAway(ctx, s))
		if said := readFrom(log, from); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return nil, errors.Join(err, log.Close())
	}
	return s, log.Close()
}

// spawn starts cmd and a goroutine that ends with the process. The goroutine
// keeps its thread, whose end the kernel would take for the parent's death (see
// childAttr). If up reports that the server was ready, the goroutine also
// unlocks the data directory when the server ends; otherwise the launcher does.
func (l *launcher) spawn(s *Server, cmd *exec.Cmd, up <-chan bool) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			s.proc, s.pid = cmd.Process, cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		s.exit = cmd.Wait()
		close(s.ended)
		if <-up {
			_ = l.dir.close() // the lock goes with the descriptor, whatever this says
		}
		close(s.done)
	}()
	return <-started
}

// awaitReady waits until the server's pid file says that it is ready and a
// session on its port gets an answer. The pid file alone does not exclude that
// another program took the port first.
func (l *launcher) awaitReady(ctx context.Context, s *Server) error {
	addr := net.JoinHostPort(loopback, strconv.Itoa(s.port))
	for {
		last := errStarting
		if f, ok := l.dir.readPIDFile(); ok && f.pid == s.pid && f.ready() {
			if last = probe(ctx, addr); last == nil {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("%w: %w", errExited, s.exit)
		default:
		}
		if !retry.Sleep(ctx, pollEvery) {
			return fmt.Errorf("wait for postgres: %w: %w", context.Cause(ctx), last)
		}
	}
}

// clearAway ends a server that did not become ready, also after the end of ctx.
func clearAway(ctx context.Context, s *Server) error {
	late := fmt.Errorf("not stopped after %s", stopLimit)
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), stopLimit, late)
	defer cancel()
	return s.Stop(ctx, Immediate)
}

// freePort checks that want is free, or finds a free port if want is 0.
func freePort(ctx context.Context, want int) (int, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(loopback, strconv.Itoa(want)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, fmt.Errorf("listen on %s port %d: %w", loopback, want, ErrPortTaken)
	}
	if err != nil {
		return 0, fmt.Errorf("listen on %s port %d: %w", loopback, want, err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.Join(fmt.Errorf("listen on %s: no TCP address", loopback), l.Close())
	}
	return addr.Port, l.Close()
}

// readFrom returns what was logged since the offset, cut to the size of an
// error's text.
func readFrom(log *os.File, from int64) string {
	text, err := io.ReadAll(io.NewSectionReader(log, from, 64<<10))
	if err != nil || len(text) == 0 {
		return ""
	}
	return child.LastLines(text)
}
