package pgstat

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// perform runs statements in a session of its own, each in its own transaction,
// and ends it: what they did is then published.
func perform(tb testing.TB, url string, statements ...string) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(tb.Context())) }()
	for _, sql := range statements {
		if _, err := conn.Exec(tb.Context(), sql, pgx.QueryExecModeExec); err != nil {
			tb.Fatalf("%s: %v", sql, err)
		}
	}
}

func snapshot(tb testing.TB, url string) Counters {
	tb.Helper()
	c, err := Snapshot(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Not parallel: the server counts WAL for all databases, and a test that makes
// one meanwhile writes 2 MB.
func TestDifferenceIsWhatWasDone(t *testing.T) { //nolint:paralleltest // see above
	url := storetest.Database(t, nil)
	settings, err := Prepare(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(settings, func(s Setting) bool { return s.Name == "fsync" && s.Value != "" }) {
		t.Errorf("Prepare = %v, want the setting fsync in it", settings)
	}
	perform(t, url, `CREATE TABLE t (n int)`)

	before := snapshot(t, url)
	perform(t, url, `INSERT INTO t VALUES (1)`, `INSERT INTO t VALUES (2)`, `SELECT count(*) FROM t`)
	// A session's last counts are published while it ends, which Close doesn't
	// wait for.
	var got Counters
	for deadline := time.Now().Add(Lag); ; {
		if got = snapshot(t, url).Sub(before); got.Commits >= 3 || time.Now().After(deadline) {
			break
		}
	}
	if got.WriteTransactions < 2 || got.WriteTransactions > 20 { // the other tests' databases come and go meanwhile
		t.Errorf("write transactions = %d, want 2 and few more", got.WriteTransactions)
	}
	if got.Commits < 3 {
		t.Errorf("commits = %d, want at least 3", got.Commits)
	}
	if got.WALBytes < 100 || got.WALBytes > 1<<20 {
		t.Errorf("WAL = %d bytes, want those of two rows", got.WALBytes)
	}
	if !got.StatementsKnown {
		t.Skip("this server does not count statements")
	}
	if got.Statements != 3 {
		t.Errorf("statements = %d, want 3", got.Statements)
	}
	statements, err := Costliest(t.Context(), url, 20)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(statements, func(s Statement) bool { return strings.HasPrefix(s.Query, "INSERT INTO t") }); i < 0 {
		t.Errorf("Costliest has no INSERT: %v", statements)
	} else if statements[i].Calls != 2 || statements[i].Rows != 2 {
		t.Errorf("Costliest says %+v, want 2 calls of 1 row", statements[i])
	}
}

func TestStatementsAreUnknownWithoutTheExtension(t *testing.T) {
	t.Parallel()
	url := storetest.Database(t, nil)
	if c := snapshot(t, url); c.StatementsKnown || c.Statements != 0 {
		t.Errorf("statements = %d, known %t, want none and unknown", c.Statements, c.StatementsKnown)
	}
	statements, err := Costliest(t.Context(), url, 20)
	if err != nil || len(statements) != 0 {
		t.Errorf("Costliest = %v, %v, want none", statements, err)
	}
}

func TestSub(t *testing.T) {
	t.Parallel()
	at := time.Now()
	later := Counters{
		At: at, Commits: 10, Rollbacks: 9, WriteTransactions: 8, Statements: 7, StatementsKnown: true, WALBytes: 6, PageImages: 5,
		WALSyncs: 4, Sessions: 3,
	}
	earlier := Counters{
		At: at.Add(-time.Hour), Commits: 1, Rollbacks: 2, WriteTransactions: 3, Statements: 4, WALBytes: 5, PageImages: 4,
		WALSyncs: 3, Sessions: 9,
	}
	want := Counters{
		At: at, Commits: 9, Rollbacks: 7, WriteTransactions: 5, Statements: 3, WALBytes: 1, PageImages: 1, WALSyncs: 1, Sessions: 3,
	}
	if diff := cmp.Diff(want, later.Sub(earlier)); diff != "" {
		t.Errorf("Sub differs (-want +got):\n%s", diff)
	}
}

func TestURLStaysSecret(t *testing.T) {
	t.Parallel()
	_, err := Snapshot(t.Context(), "postgres://user:hunter2@[broken")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Snapshot of a broken URL = %v, want an error without the password", err)
	}
}
