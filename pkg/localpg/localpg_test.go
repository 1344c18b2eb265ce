package localpg

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg/internal/localpgtest"
)

// waitLimit bounds every wait of these tests.
const waitLimit = 30 * time.Second

// childFlag makes the test binary a parent of one server, to be killed by
// TestKilledParentLeavesNoServer.
var childFlag = flag.String("localpg.child", "", "run one server in this data directory and wait to be killed")

func TestMain(m *testing.M) {
	flag.Parse()
	if *childFlag != "" {
		os.Exit(runChild(*childFlag))
	}
	os.Exit(m.Run())
}

// runChild prints the server's process id and port, and ends with its standard
// input: it never stops its server.
func runChild(dir string) int {
	s, err := Start(context.Background(), Config{DataDir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, s.PID(), s.Port())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

func TestStopAndStartAgain(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	first := start(t, cfg)
	if err := probe(t.Context(), addrOf(first)); err != nil {
		t.Fatalf("probe after Start: %v, want a server that asks for a password", err)
	}
	stop(t, first, Fast)
	if err := probe(t.Context(), addrOf(first)); err == nil {
		t.Error("server still answers after Stop")
	}
	if _, left := (&dataDir{root: cfg.DataDir}).readPIDFile(); left {
		t.Error("fast stop left postmaster.pid behind")
	}

	cfg.Port = first.Port()
	second := start(t, cfg)
	if second.URL() != first.URL() {
		t.Error("URL differs after a start on the same directory and port")
	}
	if second.PID() == first.PID() {
		t.Errorf("second server has the first one's process id %d", first.PID())
	}
}

func TestStartAfterCrash(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		crash func(*testing.T, *Server)
	}{
		{"immediate stop", func(t *testing.T, s *Server) { stop(t, s, Immediate) }},
		{"main process killed", func(t *testing.T, s *Server) {
			if err := s.proc.Kill(); err != nil {
				t.Fatal(err)
			}
			await(t, s)
			stop(t, s, Fast) // nothing to stop: must not fail
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{DataDir: localpgtest.NewDir(t)}
			s := start(t, cfg)
			tt.crash(t, s)
			cfg.Port = s.Port()
			start(t, cfg)
		})
	}
}

func TestStalePIDFileDoesNotStopAStart(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	stop(t, start(t, cfg), Fast)
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%d\n%s\n1\n1\n\n\n\nready\n", ended.Process.Pid, cfg.DataDir)
	writeOwn(t, filepath.Join(cfg.DataDir, "pgdata", "postmaster.pid"), text)
	start(t, cfg)
}

func TestSecondServerInOneDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	first := start(t, cfg)
	if s, err := Start(t.Context(), cfg); !errors.Is(err, ErrRunning) {
		t.Fatalf("second Start = %v, %v, want ErrRunning", s, err)
	}
	if err := probe(t.Context(), addrOf(first)); err != nil {
		t.Errorf("first server after the refusal: %v", err)
	}
}

func TestTakenPortIsRefused(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg := Config{DataDir: localpgtest.NewDir(t), Port: l.Addr().(*net.TCPAddr).Port}
	if s, err := Start(t.Context(), cfg); !errors.Is(err, ErrPortTaken) {
		t.Fatalf("Start on a taken port = %v, %v, want ErrPortTaken", s, err)
	}
	cfg.Port = 0
	start(t, cfg) // the refusal must have freed the directory
}

func TestFailedStartShowsTheLogAndFreesTheDirectory(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t), Settings: map[string]string{"no_such_setting": "1"}}
	s, err := Start(t.Context(), cfg)
	if !errors.Is(err, errExited) {
		t.Fatalf("Start with an unknown setting = %v, %v, want errExited", s, err)
	}
	if !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("error does not show the server's log: %v", err)
	}
	cfg.Settings = nil
	start(t, cfg)
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	reason := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	if s, err := Start(ctx, cfg); !errors.Is(err, reason) {
		t.Fatalf("Start with an ended context = %v, %v, want its cause", s, err)
	}
	start(t, cfg)
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	t.Parallel()
	dir := localpgtest.NewDir(t)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Start(t.Context(), Config{DataDir: dir}); err == nil {
		stop(t, s, Immediate)
		t.Fatal("Start took a directory with foreign files")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("refused directory holds %v, %v, want the foreign file only", entries, err)
	}
}

func TestClosedParentIsNamed(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root starts the server as another user")
	}
	closed := localpgtest.NewDir(t)
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := Start(t.Context(), Config{DataDir: filepath.Join(closed, "data")})
	if err == nil {
		stop(t, s, Immediate)
		t.Fatal("Start succeeded below a directory that the server's user cannot enter")
	}
	if !strings.Contains(err.Error(), closed+" (mode 0700)") {
		t.Errorf("error does not name the closed directory %s: %v", closed, err)
	}
}

func TestPasswordIsPrivate(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	start(t, cfg)
	for path, want := range map[string]os.FileMode{cfg.DataDir: 0o700, filepath.Join(cfg.DataDir, "password"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
	}
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { stop(t, s, Immediate) })
	return s
}

func stop(t *testing.T, s *Server, mode Mode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), waitLimit)
	defer cancel()
	if err := s.Stop(ctx, mode); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func await(t *testing.T, s *Server) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(waitLimit):
		t.Fatalf("server %d has not ended after %s", s.PID(), waitLimit)
	}
}

func addrOf(s *Server) string { return fmt.Sprintf("%s:%d", loopback, s.Port()) }

// A predecessor that shuts down is in the way of any number of tries, and may
// be gone between a try that it has foiled and the look at its pid file. The
// server here is the real one, behind a program that fails as one does which
// meets such a predecessor.
func TestAStartWaitsForAPredecessorThatLeaves(t *testing.T) {
	t.Parallel()
	cfg := Config{DataDir: localpgtest.NewDir(t)}
	stop(t, start(t, cfg), Fast)
	real, err := Binaries(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(cfg.DataDir, "pgdata", "postmaster.pid")
	writeOwn(t, pidFile, fmt.Sprintf("%d\n%s\n1\n1\n\n\n\nstopping\n", os.Getpid(), cfg.DataDir))
	tries := filepath.Join(filepath.Dir(cfg.DataDir), "tries")
	writeOwn(t, tries, "")
	cfg.BinDir = localpgtest.Installation(t, filepath.Dir(cfg.DataDir), "bin", "initdb")
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = --version ] && exit 1
echo >> %[1]s
case $(wc -l < %[1]s) in
[1-4]) exit 1 ;;
5) rm %[2]s; exit 1 ;;
*) exec %[3]s/postgres "$@" ;;
esac
`, tries, pidFile, real)
	if err := os.WriteFile(filepath.Join(cfg.BinDir, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, cfg)
	if text, err := os.ReadFile(tries); err != nil || len(text) != 6 {
		t.Errorf("the server was started %d times, %v, want 6", len(text), err)
	}
}

// writeOwn writes a file that belongs to the server's account.
func writeOwn(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	acct, err := serverAccount()
	if err == nil && acct.name != "" {
		err = os.Chown(path, int(acct.uid), int(acct.gid))
	}
	if err != nil {
		t.Fatal(err)
	}
}
