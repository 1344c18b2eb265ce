package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/runtest"
	"windlass.dev/windlass/pkg/store/storetest"
)

// blocker is a session that keeps every statement of the store waiting.
func blocker(t *testing.T, dbURL string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dbURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

func execSQL(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

const lockAllSQL = `BEGIN; LOCK TABLE requests, steps, bodies IN ACCESS EXCLUSIVE MODE`

// endWaiting ends the sessions of the store that wait for a lock, once there is
// one.
func endWaiting(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	const sql = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'windlass' AND wait_event_type = 'Lock'`
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range 400 {
		var n int
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		<-tick.C
	}
	t.Fatal("no session waits for a lock after 2 s")
}

type attempt struct {
	name string
	do   func(ctx context.Context) error
}

// attempts are calls of all methods, each on rows of its own made through
// another store, that succeed when nothing is in the way.
func attempts(t *testing.T, s, other *runtest.World) []attempt {
	n := runtest.NewRequest()
	turn, raised, retried := runtest.Claimed(t, other), runtest.Claimed(t, other), runtest.Claimed(t, other)
	tools, decided, done := runtest.InTools(t, other, 1), runtest.InSettle(t, other, run.Completed), runtest.Settled(t, other, run.Failed, true)
	return []attempt{
		{"Accept", func(ctx context.Context) error { _, err := s.Accept(ctx, n); return err }},
		{"Claim", func(ctx context.Context) error {
			_, err := s.Claim(ctx, []store.Slots{{Lane: "none", Free: 1}})
			return err
		}},
		{"CommitTurn", func(ctx context.Context) error {
			_, err := s.CommitTurn(ctx, turn, run.TurnCommit{Fence: runtest.FenceOf(turn), Steps: runtest.NewSteps(2)})
			return err
		}},
		{"Raise", func(ctx context.Context) error {
			_, err := s.Raise(ctx, runtest.FenceOf(raised), run.Suspected, 0)
			return err
		}},
		{"RetryTurn", func(ctx context.Context) error {
			_, err := s.RetryTurn(ctx, runtest.FenceOf(retried), 0, "busy")
			return err
		}},
		{"CommitResults", func(ctx context.Context) error {
			rows, err := s.CommitResults(ctx, runtest.Results(tools))
			if err == nil && len(rows) != 1 {
				err = store.ErrStale
			}
			return err
		}},
		{"Settle", func(ctx context.Context) error {
			return s.Settle(ctx, store.Settlement{ID: decided.ID, Epoch: decided.Epoch, Status: run.Completed, Answer: []byte("{}")})
		}},
		{"Finish", func(ctx context.Context) error { return s.Finish(ctx, done.ID) }},
		{"Answer", func(ctx context.Context) error { _, err := s.Answers.Read(ctx, runtest.Tenant, tools.ID); return err }},
		{"Load", func(ctx context.Context) error { _, err := s.Load(ctx, tools.ID); return err }},
		{"Look", func(ctx context.Context) error { _, err := s.Look(ctx, tools.ID); return err }},
		{"Overdue", func(ctx context.Context) error { _, err := s.Overdue(ctx, 10); return err }},
		{"Postpone", func(ctx context.Context) error { return s.Postpone(ctx, []run.Row{tools}) }},
		{"Alarm", func(ctx context.Context) error { _, err := s.MakeAllDue(ctx); return err }},
		{"Finished", func(ctx context.Context) error { _, err := s.Answers.Finished(ctx, nil); return err }},
	}
}

func TestLostConnectionIsRepeated(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, runtest.Migrate)
	s := runtest.OpenAt(t, dbURL)
	other := blocker(t, dbURL)
	for _, a := range attempts(t, s, s) {
		execSQL(t, other, lockAllSQL)
		failed := make(chan error, 1)
		go func() { failed <- a.do(t.Context()) }()
		endWaiting(t, other)
		select {
		case err := <-failed:
			if !postgres.Unavailable(err) {
				t.Errorf("%s with its session ended = %v, want an error that Unavailable knows", a.name, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s has not returned 10 s after the end of its session", a.name)
		}
		execSQL(t, other, `ROLLBACK`)
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s, repeated: %v", a.name, err)
		}
	}
}

func TestLockHeldTooLong(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, runtest.Migrate)
	s := runtest.OpenAt(t, dbURL)
	all := attempts(t, s, s)[:8]
	other := blocker(t, dbURL)
	execSQL(t, other, lockAllSQL)
	var wg sync.WaitGroup
	start := time.Now()
	for _, a := range all {
		wg.Go(func() {
			if err := a.do(t.Context()); !postgres.Unavailable(err) {
				t.Errorf("%s beside a lock = %v, want an error that Unavailable knows", a.name, err)
			}
		})
	}
	wg.Wait()
	if took := time.Since(start); took > 2*postgres.StatementTimeout {
		t.Errorf("the calls took %s, want less than %s", took, 2*postgres.StatementTimeout)
	}
	execSQL(t, other, `ROLLBACK`)
	for _, a := range all {
		if err := a.do(t.Context()); err != nil {
			t.Errorf("%s, repeated: %v", a.name, err)
		}
	}
}

// answerLoser stands between a pool and its server. When armed it lets one
// statement through, and then loses its answer.
type answerLoser struct {
	server string
	armed  atomic.Bool
}

// lossy gives a store whose answers go through the loser.
func lossy(t *testing.T, dbURL string) (*runtest.World, *answerLoser) {
	t.Helper()
	u, err := url.Parse(dbURL)
	if err != nil {
		t.Fatal(err)
	}
	l := &answerLoser{server: u.Host}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return // closed below
			}
			wg.Go(func() { l.pass(client) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	u.Host = ln.Addr().String()
	return runtest.OpenAt(t, u.String()), l
}

func (l *answerLoser) pass(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	defer func() { _ = client.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		if bytes.Contains(buf[:n], []byte("INSERT 0 ")) || bytes.Contains(buf[:n], []byte("SELECT ")) {
			if l.armed.CompareAndSwap(true, false) {
				return
			}
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A commit whose answer was lost looks like a failure; repeated as it is, it
// writes nothing more.
func TestLostAnswerIsRepeated(t *testing.T) {
	t.Parallel()
	dbURL := storetest.Database(t, runtest.Migrate)
	truth := runtest.OpenAt(t, dbURL)
	s, loser := lossy(t, dbURL)
	again := map[string]error{"Accept": nil, "CommitTurn": store.ErrStale, "CommitResults": store.ErrStale, "Settle": store.ErrStale}
	for _, a := range attempts(t, s, truth) {
		want, ok := again[a.name]
		if !ok {
			continue
		}
		before := runtest.Dump(t, truth)
		if err := s.DB.Ping(t.Context()); err != nil { // a connection is there, and its first answer is past
			t.Fatal(err)
		}
		loser.armed.Store(true)
		if err := a.do(t.Context()); !postgres.Unavailable(err) || loser.armed.Load() {
			t.Errorf("%s with its answer lost: %v, want an error that Unavailable knows", a.name, err)
		}
		after := runtest.Dump(t, truth)
		if before == after {
			t.Errorf("%s wrote nothing; the test means to lose the answer of a commit", a.name)
		}
		if err := a.do(t.Context()); !errors.Is(err, want) {
			t.Errorf("%s repeated: %v, want %v", a.name, err, want)
		}
		if diff := cmp.Diff(after, runtest.Dump(t, truth)); diff != "" {
			t.Errorf("%s, repeated, wrote (-before +after):\n%s", a.name, diff)
		}
	}
}
