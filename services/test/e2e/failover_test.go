//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/localpg/programs"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/mock"
)

const (
	// readOnlyTime is how long the primary refuses writes before the standby
	// takes over.
	readOnlyTime = 4 * time.Second
	// afterFailover is how long the load continues on the new primary.
	afterFailover = 8 * time.Second
)

// TestFailover makes the primary read-only under load, promotes a streaming
// standby, which is the second host of the URL, and stops the primary.
// Meanwhile requests are refused with 503 and Retry-After; after the promotion
// no new request fails. Requests that wait for their answers through all of it
// get them, and no accepted request is lost.
func TestFailover(t *testing.T) {
	t.Parallel()
	alone(t)
	port := freePort(t)
	w := newWorldBehind(t, func(direct string) string {
		u := parseURL(t, direct)
		u.Host += "," + address(port)
		return u.String()
	})
	second := w.startStandby(t, port)
	rnd := rand.New(rand.NewPCG(uint64(seed(t)), 5))
	l := newLoad(w)
	stop := l.begin(t, rnd, 100, 180*time.Millisecond)
	defer stop()
	c := newCallers(w)
	c.begin(t, 6, mock.Plan{ThinkMS: 20})
	long := c.waiting(t, 4, mock.Plan{ThinkMS: int((readOnlyTime + 3*time.Second).Milliseconds())})
	pause(t.Context(), 2*time.Second)

	w.turnReadOnly(t)
	pause(t.Context(), readOnlyTime)
	w.stopPostgres(localpg.Immediate)
	var promoted bool
	storetest.Query(t, second, `SELECT pg_promote(true, 30)`, nil, &promoted)
	if !promoted {
		t.Fatal("the standby was not promoted")
	}
	c.accepting.Store(true)
	began := time.Now()
	long()
	pause(t.Context(), afterFailover-time.Since(began))
	c.stop()
	w.url = second
	l.finishAll(t, 30*time.Second)
	l.check(t)
	t.Logf("%d foreground requests, %d refused with 503 while no primary accepted, %d after that, %d runs, 0 lost",
		c.sent.Load(), c.refused.Load(), c.failed.Load(), len(l.runs))
	if c.refused.Load() == 0 {
		t.Error("no request met the failover; the test means to make one")
	}
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// turnReadOnly makes the primary refuse writes, also in open sessions, and
// waits until the standby has everything.
func (w *world) turnReadOnly(t *testing.T) {
	t.Helper()
	file := filepath.Join(w.database.DataDir, "pgdata", "postgresql.auto.conf")
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("default_transaction_read_only = on\n")
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	var ok bool
	storetest.Query(t, w.url, `SELECT pg_reload_conf()`, nil, &ok)
	caughtUp := until(t.Context(), 20*time.Millisecond, func() bool {
		storetest.Query(t, w.url, `SELECT current_setting('default_transaction_read_only') = 'on'
			AND COALESCE((SELECT bool_and(replay_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication), false)`, nil, &ok)
		return ok
	})
	if !caughtUp {
		t.Fatal("the standby did not catch up")
	}
}

// startStandby makes a streaming standby of the world's Postgres and returns
// its URL. localpg only runs primaries.
func (w *world) startStandby(t *testing.T, port int) string {
	t.Helper()
	bin, err := programs.Find(w.database.BinDir)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(w.dir, "standby")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	as := postgresAccount(t, dir)
	out, err := command(t.Context(), as, filepath.Join(bin, "pg_basebackup"), "--pgdata="+dir, "--write-recovery-conf",
		"--wal-method=stream", "--checkpoint=fast", "--dbname="+w.url).CombinedOutput()
	if err != nil {
		t.Fatalf("pg_basebackup: %v: %s", err, out)
	}
	log, err := os.Create(filepath.Join(w.dir, "standby.log"))
	if err != nil {
		t.Fatal(err)
	}
	server := command(context.WithoutCancel(t.Context()), as, filepath.Join(bin, "postgres"), "-D", dir,
		"-c", "port="+strconv.Itoa(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "logging_collector=off")
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
		_ = log.Close()
	})
	u := parseURL(t, w.url)
	u.Host = address(port)
	var streams int
	following := until(t.Context(), 50*time.Millisecond, func() bool {
		storetest.Query(t, w.url, `SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'`, nil, &streams)
		return streams == 1
	})
	if !following {
		t.Fatal("the standby does not stream")
	}
	return u.String()
}

// postgresAccount gives a directory to the account that runs Postgres under
// root.
func postgresAccount(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			t.Fatal(err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	t.Fatal("Postgres does not run as root, and this machine has no account for it")
	return nil
}

func command(ctx context.Context, as *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Dir = "/"
	return cmd
}

// callers send foreground requests, each one after the other.
type callers struct {
	w         *world
	accepting atomic.Bool // a primary accepts writes
	seeds     atomic.Int64
	sent      atomic.Int64
	refused   atomic.Int64
	failed    atomic.Int64
	end       chan struct{}
	all       sync.WaitGroup
}

func newCallers(w *world) *callers {
	c := &callers{w: w, end: make(chan struct{})}
	c.seeds.Store(1_000_000) // different from those of the load
	return c
}

func (c *callers) begin(t *testing.T, n int, p mock.Plan) {
	t.Helper()
	for range n {
		c.all.Go(func() {
			for {
				select {
				case <-c.end:
					return
				case <-time.After(20 * time.Millisecond):
					c.one(t, p)
				}
			}
		})
	}
}

func (c *callers) one(t *testing.T, p mock.Plan) {
	after := c.accepting.Load()
	p.Seed = c.seeds.Add(1)
	c.sent.Add(1)
	s, err := c.w.api.chat(t.Context(), p, false, func() {})
	switch {
	case err == nil && s.status == http.StatusOK:
	case after:
		c.failed.Add(1)
		t.Errorf("a request that began after the failover got %d, %v", s.status, err)
	case err != nil || s.status != http.StatusServiceUnavailable:
		t.Errorf("a request during the failover got %d, %v, want 503", s.status, err)
	default:
		c.refused.Add(1)
	}
}

// waiting sends requests that take longer than the outage. The returned
// function waits for their answers.
func (c *callers) waiting(t *testing.T, n int, p mock.Plan) (wait func()) {
	t.Helper()
	var all sync.WaitGroup
	errs := make(chan error, n)
	for range n {
		all.Go(func() {
			own := p
			own.Seed = c.seeds.Add(1)
			s, err := c.w.api.chat(t.Context(), own, false, func() {})
			if err != nil || s.status != http.StatusOK {
				errs <- fmt.Errorf("a request that waited through the failover got %d, %v", s.status, err)
			}
		})
	}
	return func() {
		all.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
	}
}

func (c *callers) stop() {
	close(c.end)
	c.all.Wait()
}
