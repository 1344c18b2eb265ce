package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

// gate is a TCP proxy before the server, which plays a host that dies.
type gate struct {
	server string
	ln     net.Listener
	mode   atomic.Int32
	mu     sync.Mutex
	conns  map[net.Conn]bool
	wg     sync.WaitGroup
}

// What a gate does with connections.
const (
	passes  = iota
	refuses // closes old and new ones
	silent  // accepts new ones and passes no byte, as a host that lost its network
)

func newGate(tb testing.TB, server string) *gate {
	tb.Helper()
	ln, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	g := &gate{server: server, ln: ln, conns: map[net.Conn]bool{}}
	g.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed below
			}
			g.wg.Go(func() { g.pass(c) })
		}
	})
	tb.Cleanup(func() {
		_ = ln.Close()
		g.set(refuses)
		g.wg.Wait()
	})
	return g
}

func (g *gate) set(mode int32) {
	g.mode.Store(mode)
	if mode == passes {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
}

func (g *gate) hold(c net.Conn, held bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if held {
		g.conns[c] = true
	} else {
		delete(g.conns, c)
	}
}

func (g *gate) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	g.hold(client, true)
	defer g.hold(client, false)
	switch g.mode.Load() {
	case refuses:
		return
	case silent:
		_, _ = io.Copy(io.Discard, client) // until it is closed
		return
	}
	server, err := new(net.Dialer).Dial("tcp", g.server)
	if err != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
	_, _ = io.Copy(client, server)
	_ = client.Close()
	both.Wait()
}

// patientAccept accepts a request as a gateway does: it repeats what may be
// repeated, within the time that a client is kept waiting.
func patientAccept(ctx context.Context, s *runtest.World) error {
	ctx, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
	defer cancel()
	n := runtest.NewRequest()
	for {
		_, err := s.Accept(ctx, n)
		if err == nil || !postgres.Unavailable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// load accepts requests on several goroutines until stop is called, which
// returns how many there were and the errors of those that began after the
// database accepted writes again.
type load struct {
	accepting atomic.Bool
	n         atomic.Int64
	mu        sync.Mutex
	outages   int // failed before, as they may
	failed    []error
	wg        sync.WaitGroup
	end       chan struct{}
}

func newLoad(tb testing.TB, s *runtest.World) *load {
	tb.Helper()
	l := &load{end: make(chan struct{})}
	for range 4 {
		l.wg.Go(func() {
			for {
				select {
				case <-l.end:
					return
				default:
					l.one(tb.Context(), s)
				}
			}
		})
	}
	return l
}

func (l *load) one(ctx context.Context, s *runtest.World) {
	after := l.accepting.Load()
	err := patientAccept(ctx, s)
	l.n.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && !postgres.Unavailable(err):
		l.failed = append(l.failed, fmt.Errorf("not known as an outage: %w", err))
	case err != nil && after:
		l.failed = append(l.failed, err)
	case err != nil:
		l.outages++
	}
}

func (l *load) stop() {
	close(l.end)
	l.wg.Wait()
}

// await returns when n more requests have ended.
func (l *load) await(tb testing.TB, n int64) {
	tb.Helper()
	limit, until := time.After(20*time.Second), l.n.Load()+n
	for l.n.Load() < until {
		select {
		case <-limit:
			tb.Fatal("the load stands still")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// A primary goes away and comes back, or another takes over. No request fails
// that begins after a server accepts writes again, and no session that is older
// than that is still in the pool.
func TestFailover(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		dies int32 // what the first host does
		cut  bool  // its connections are cut when it becomes read-only
		two  bool  // the URL has a second host, which is the new primary
	}{
		{"read-only for a time, connections kept", passes, false, false},
		{"read-only for a time, connections cut", passes, true, false},
		{"another host takes over, the old one refuses", refuses, true, true},
		{"another host takes over, the old one says nothing", silent, true, true},
		{"another host takes over, the old one is a standby now", passes, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dbURL := storetest.Database(t, runtest.Migrate)
			u, err := url.Parse(dbURL)
			if err != nil {
				t.Fatal(err)
			}
			first, second := newGate(t, u.Host), newGate(t, u.Host)
			u.Host = first.ln.Addr().String()
			if tt.two {
				u.Host += "," + second.ln.Addr().String()
			}
			s := runtest.OpenAt(t, u.String())
			admin := blocker(t, dbURL)
			l := newLoad(t, s)
			l.await(t, 20)

			readOnly(t, admin, true)
			first.set(tt.dies)
			if tt.cut {
				execSQL(t, admin, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
					WHERE datname = current_database() AND application_name = 'windlass'`)
			}
			<-time.After(1500 * time.Millisecond) // the outage: longer than a request is kept waiting
			var now time.Time
			if err := admin.QueryRow(t.Context(), `SELECT now() - interval '500 ms'`).Scan(&now); err != nil {
				t.Fatal(err)
			}
			readOnly(t, admin, false)
			l.accepting.Store(true)
			l.await(t, 100)
			l.stop()
			for _, err := range l.failed {
				t.Errorf("a request failed: %v", err)
			}
			if l.outages == 0 {
				t.Error("no request met the outage; the test means to make one")
			}
			wantYoung(t, admin, now)
			if err := s.DB.Ping(t.Context()); err != nil {
				t.Errorf("not ready: %v", err)
			}
			if tt.dies == silent {
				first.set(refuses) // closing a connection to a silent host takes pgx 15 s
			}
		})
	}
}

// readOnly makes the database read-only or writable: for new sessions by its
// setting, for open ones by a trigger, as the setting of the server, which
// other tests use too, would do.
func readOnly(t *testing.T, admin *pgx.Conn, on bool) {
	t.Helper()
	state := map[bool]string{true: "on", false: "off"}[on]
	execSQL(t, admin, `DO $$ BEGIN
		EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = `+state+`', current_database()); END $$`)
	if on {
		execSQL(t, admin, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '25006'; END $$;
			CREATE TRIGGER refuse BEFORE INSERT ON requests FOR EACH ROW EXECUTE FUNCTION refuse()`)
	} else {
		execSQL(t, admin, `DROP FUNCTION refuse CASCADE`)
	}
}

// wantYoung checks that no session of the store was made before the server
// accepted writes.
func wantYoung(tb testing.TB, admin *pgx.Conn, since time.Time) {
	tb.Helper()
	var old int
	err := admin.QueryRow(tb.Context(), `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND application_name = 'windlass' AND backend_start < $1`, since).Scan(&old)
	if err != nil || old != 0 {
		tb.Errorf("%d read-only sessions are still in the pool, %v", old, err)
	}
}
