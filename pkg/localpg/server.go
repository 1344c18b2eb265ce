package localpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"syscall"

	"windlass.dev/windlass/pkg/localpg/programs"
)

// Config says which server to run and where. Only DataDir is required.
type Config struct {
	// BinDir holds postgres and initdb (PG_BIN). Empty: Binaries looks for them
	// and downloads them if the machine has none.
	BinDir string
	// DataDir holds the cluster, its password and its log. It is made and
	// filled if it is absent or empty.
	DataDir string
	// CacheDir is where Fetch keeps binaries; empty is its default.
	CacheDir string
	// Progress gets a line or more for each download; nil: silent.
	Progress io.Writer
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Settings are passed to the server as -c name=value and win over this
	// package's, except for port and addresses.
	Settings map[string]string
}

// Binaries returns the bin directory that Start would use for cfg, as
// [programs.Locate] does, and may download it. A caller that bounds Start by a
// deadline calls Binaries first and sets cfg.BinDir, so that the download does
// not count.
func Binaries(ctx context.Context, cfg Config) (string, error) {
	return programs.Locate(ctx, programs.Config{
		BinDir: cfg.BinDir, DataDir: cfg.DataDir, CacheDir: cfg.CacheDir, Progress: cfg.Progress,
	})
}

// Mode is a way to stop a server.
type Mode int

const (
	// Fast ends all sessions, writes a checkpoint and stops: nothing is left to
	// recover.
	Fast Mode = iota
	// Immediate stops at once, as a crash would: the next start recovers from
	// the WAL.
	Immediate
)

// Server is a running Postgres. Its methods are safe for concurrent use.
type Server struct {
	pid      int
	port     int
	password string
	proc     *os.Process
	ended    chan struct{} // closed when the process has ended
	exit     error         // how it ended; set before ended is closed
	done     chan struct{} // closed when the data directory is free, too
}

// Start starts a server on cfg.DataDir and returns once it accepts sessions, at
// the latest after a minute and, for a new directory, the minute that initdb
// may take; ctx bounds the start only, never the server's life. An orphan of a
// dead parent that is still shutting down is waited for. Errors: ErrNotFound,
// ErrRunning, ErrPortTaken, or the end of the server's log. The caller calls
// Stop.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	binDir, err := Binaries(ctx, cfg)
	if err != nil {
		return nil, err
	}
	acct, err := serverAccount()
	if err != nil {
		return nil, err
	}
	if err := acct.checkReach(binDir + "/postgres"); err != nil {
		return nil, err
	}
	dir, err := openDataDir(cfg.DataDir, acct)
	if err != nil {
		return nil, err
	}
	secret, err := dir.ensureCluster(ctx, binDir, cfg.Settings["fsync"] != "off")
	if err != nil {
		return nil, errors.Join(err, dir.close())
	}
	l := launcher{binDir: binDir, dir: dir, port: cfg.Port, settings: cfg.Settings, password: secret}
	s, err := l.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("start postgres in %s: %w", dir.root, errors.Join(err, dir.close()))
	}
	return s, nil
}

// URL is a connection string for the superuser and the database "postgres". It
// holds the password: do not log it.
func (s *Server) URL() string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort(loopback, strconv.Itoa(s.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// PID is the server's main process. Killing it by SIGKILL is a crash: Done
// closes, and Start works on the same directory.
func (s *Server) PID() int { return s.pid }

// Port is the port on 127.0.0.1; give it to Config to start again on the same
// one.
func (s *Server) Port() int { return s.port }

// Done is closed when the server has ended, for whatever reason, and its data
// directory is free again.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop stops the server and waits for its end; if it has ended already Stop
// returns nil. If ctx ends first Stop returns its cause and the server goes on
// stopping; a second Stop with Immediate cuts that short.
func (s *Server) Stop(ctx context.Context, mode Mode) error {
	sig := syscall.SIGINT
	if mode == Immediate {
		sig = syscall.SIGQUIT
	}
	if err := s.proc.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal postgres %d: %w", s.pid, err)
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop postgres %d: %w", s.pid, context.Cause(ctx))
	}
}
