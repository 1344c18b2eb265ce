// Package pgbouncer runs a PgBouncer in transaction mode in front of a
// Postgres, for tests and measurements. It uses PgBouncer's defaults: what
// works behind this one needs no setting of PgBouncer's.
package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrMissing means that no pgbouncer is installed.
var ErrMissing = errors.New("pgbouncer is not installed (Debian and Ubuntu: apt-get install pgbouncer)")

const (
	startTime = 5 * time.Second
	stopTime  = 5 * time.Second
	startPoll = 20 * time.Millisecond
)

// Config says what to run.
type Config struct {
	Target string // URL of the Postgres behind it
	Dir    string // for its configuration and log; must exist
	Listen string // host:port; empty: a free port of 127.0.0.1
	Mode   string // pool_mode; empty: transaction
	Size   int    // default_pool_size; 0: 8
	More   string // further lines of the [pgbouncer] section
}

// Server is a running PgBouncer.
type Server struct {
	cmd  *exec.Cmd
	url  string
	log  string
	done chan struct{}
}

// Find returns the path of the binary, or ErrMissing.
func Find() (string, error) {
	if path, err := exec.LookPath("pgbouncer"); err == nil {
		return path, nil
	}
	const sbin = "/usr/sbin/pgbouncer" // not in the PATH of every user
	if _, err := os.Stat(sbin); err == nil {
		return sbin, nil
	}
	return "", ErrMissing
}

// Start runs a PgBouncer and returns when it accepts connections.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	bin, err := Find()
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(cfg.Target)
	if err != nil {
		return nil, fmt.Errorf("parse the database url: %w", err)
	}
	listen := cfg.Listen
	if listen == "" {
		if listen, err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	file, err := configure(cfg, target, listen)
	if err != nil {
		return nil, err
	}
	s := &Server{log: filepath.Join(cfg.Dir, "pgbouncer.log"), done: make(chan struct{})}
	args, err := asUser(file)
	if err != nil {
		return nil, err
	}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, fmt.Errorf("make the log of pgbouncer: %w", err)
	}
	defer func() { _ = out.Close() }()
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), bin, args...) // Stop ends it
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start pgbouncer: %w", err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // its log says why it ended
	}()
	front := *target
	front.Host = listen
	s.url = front.String()
	return s, s.await(ctx, listen)
}

// asUser returns the arguments: PgBouncer refuses to run as root.
func asUser(file string) ([]string, error) {
	if os.Geteuid() != 0 {
		return []string{file}, nil
	}
	users := []string{"postgres", "nobody"}
	for _, name := range users {
		if _, err := user.Lookup(name); err == nil {
			return []string{"-u", name, file}, nil
		}
	}
	return nil, fmt.Errorf("pgbouncer does not run as root; create one of the users %v", users)
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

const iniText = `[databases]
* = host=%s port=%s user=%s password=%s
[pgbouncer]
listen_addr = %s
listen_port = %s
auth_type = any
pool_mode = %s
default_pool_size = %d
max_client_conn = 500
unix_socket_dir =
%s
`

func configure(cfg Config, target *url.URL, listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("read the address of pgbouncer: %w", err)
	}
	password, _ := target.User.Password()
	mode, size := cfg.Mode, cfg.Size
	if mode == "" {
		mode = "transaction"
	}
	if size == 0 {
		size = 8
	}
	targetPort := target.Port()
	if targetPort == "" {
		targetPort = strconv.Itoa(5432)
	}
	ini := fmt.Sprintf(iniText, target.Hostname(), targetPort, target.User.Username(), password,
		host, port, mode, size, cfg.More)
	file := filepath.Join(cfg.Dir, "pgbouncer.ini")
	// The user that it runs as has to read it; the directory is the caller's to
	// close.
	if err := os.WriteFile(file, []byte(ini), 0o644); err != nil {
		return "", fmt.Errorf("write the configuration of pgbouncer: %w", err)
	}
	return file, nil
}

// await returns when the server accepts connections.
func (s *Server) await(ctx context.Context, address string) error {
	late := time.After(startTime)
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-s.done:
			return fmt.Errorf("pgbouncer ended at its start: %s", s.Log())
		case <-late:
			return errors.Join(fmt.Errorf("pgbouncer did not listen within %s: %s", startTime, s.Log()), s.Stop())
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), s.Stop())
		case <-time.After(startPoll):
		}
	}
}

// URL is the target's, by way of the pooler.
func (s *Server) URL() string { return s.url }

// Log is what it has written.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.log) // best effort, for an error's text
	return string(text)
}

// Stop ends it at once and waits for its end.
func (s *Server) Stop() error {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.done:
		return nil
	case <-time.After(stopTime):
		_ = s.cmd.Process.Kill()
		return errors.New("pgbouncer did not end by itself")
	}
}
