package postgres_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func open(tb testing.TB, url string) *postgres.DB {
	tb.Helper()
	db, err := postgres.Open(postgres.Config{URL: url, MaxConns: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return db
}

// pooler is the URL of a PgBouncer in front of a database. Without PgBouncer
// the test is skipped, and says what to install.
func pooler(tb testing.TB, target string, cfg pgbouncer.Config) string {
	tb.Helper()
	if _, err := pgbouncer.Find(); err != nil {
		tb.Skipf("NOT TESTED behind a connection pooler: %v", err)
	}
	dir := tb.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	cfg.Target, cfg.Dir = target, dir
	s, err := pgbouncer.Start(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return s.URL()
}

const settingSQL = `SELECT setting FROM pg_settings WHERE name = @name`

// A statement behind a pooler has the settings that a session of its own would
// have, and leaves none behind for other clients of the pooler.
func TestSettingsOfAStatement(t *testing.T) {
	t.Parallel()
	direct := storetest.Database(t, nil)
	pooled := pooler(t, direct, pgbouncer.Config{Size: 1})
	for name, url := range map[string]string{"direct": direct, "pooled": pooled} {
		db := open(t, url)
		for setting, want := range postgres.Settings() {
			got, err := postgres.Query(t.Context(), db, settingSQL, postgres.Args{"name": setting}, pgx.RowTo[string])
			if err != nil || len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s is %v, %v, want %s", name, setting, got, err, want)
			}
		}
	}
	conn, err := pgx.Connect(t.Context(), pooled)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var left int
	err = conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_settings WHERE name = ANY ($1) AND source = 'session'`,
		pgx.QueryExecModeExec, slices.Collect(maps.Keys(postgres.Settings()))).Scan(&left)
	if err != nil || left != 0 {
		t.Errorf("%d settings are left in the pooler's session, %v; want none", left, err)
	}
}
