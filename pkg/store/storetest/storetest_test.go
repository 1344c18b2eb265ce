package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(Suite{M: m}) }

var (
	migrations, badMigrations atomic.Int32
	errBroken                 = errors.New("broken")
)

func migrateBadly(context.Context, string) error {
	badMigrations.Add(1)
	return errBroken
}

// migrate makes one table with one row.
func migrate(ctx context.Context, url string) (err error) {
	migrations.Add(1)
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('from the template')")
	return err
}

func TestDatabasesDoNotShareRows(t *testing.T) {
	t.Parallel()
	for i := range 4 {
		t.Run(fmt.Sprintf("database %d", i), func(t *testing.T) {
			t.Parallel()
			conn := connect(t, Database(t, migrate))
			if _, err := conn.Exec(t.Context(), "INSERT INTO notes VALUES ($1)", t.Name()); err != nil {
				t.Fatal(err)
			}
			if got := count(t, conn, "SELECT count(*) FROM notes"); got != 2 {
				t.Errorf("%d notes, want the template's and this test's own", got)
			}
			if got := migrations.Load(); got != 1 {
				t.Errorf("migrate ran %d times, want once", got)
			}
		})
	}
}

func TestEmptyDatabase(t *testing.T) {
	t.Parallel()
	conn := connect(t, Database(t, nil))
	if got := count(t, conn, "SELECT count(*) FROM pg_class WHERE relname = 'notes'"); got != 0 {
		t.Errorf("%d tables named notes in a database without migrations, want 0", got)
	}
}

func TestEachMigrationHasItsTemplate(t *testing.T) {
	t.Parallel()
	for range 2 {
		if _, _, err := shared.clone(t.Context(), migrateBadly); !errors.Is(err, errBroken) {
			t.Errorf("clone of a failing migration: %v, want its error", err)
		}
	}
	if got := badMigrations.Load(); got != 1 {
		t.Errorf("failing migration ran %d times, want once", got)
	}
	conn := connect(t, Database(t, migrate))
	if got := count(t, conn, "SELECT count(*) FROM notes"); got != 1 {
		t.Errorf("%d notes in a database of the other migration, want 1", got)
	}
}

func TestDatabaseIsDroppedUnderAnOpenSession(t *testing.T) {
	t.Parallel()
	admin := connect(t, Database(t, nil))
	var open *pgx.Conn
	t.Run("with a session that stays", func(t *testing.T) {
		url := Database(t, nil)
		var err error
		if open, err = pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
	})
	if open == nil {
		t.FailNow()
	}
	defer func() { _ = open.Close(t.Context()) }() // the server has ended it
	name := open.Config().Database
	got := count(t, admin, "SELECT count(*) FROM pg_database WHERE datname = $1", name)
	if got != 0 {
		t.Errorf("database %q exists %d times after its test, want 0", name, got)
	}
}

// The environment belongs to the process, so each case is a test binary of its
// own that runs TestDatabasesDoNotShareRows.
func TestServerOfTheEnvironment(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	own := connect(t, Database(t, nil))
	for _, tt := range []struct {
		name string
		env  string
		ok   bool
		want string
	}{
		{"DATABASE_URL is used", "DATABASE_URL=" + own.Config().ConnString(), true, "PASS"},
		{"DATABASE_URL leads nowhere", "DATABASE_URL=postgres://x:y@127.0.0.1:1/z", false, "connect to the test server"},
		{"DATABASE_URL is no URL", "DATABASE_URL=secret", false, "DATABASE_URL is not a postgres:// URL"},
		{"no Postgres in PG_BIN", "PG_BIN=" + empty, false, advice},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDatabasesDoNotShareRows$")
			cmd.Env = append(cmd.Environ(), "DATABASE_URL=", tt.env)
			out, err := cmd.CombinedOutput()
			if (err == nil) != tt.ok || !bytes.Contains(out, []byte(tt.want)) {
				t.Errorf("tests with %s ended with %v, want success %v and %q in:\n%s", tt.env, err, tt.ok, tt.want, out)
			}
			if strings.Contains(string(out), "SKIP") {
				t.Errorf("a test was skipped:\n%s", out)
			}
		})
	}
	t.Cleanup(func() { // after the parallel cases above
		const strangers = "SELECT count(*) FROM pg_database WHERE datname LIKE 'windlass_test_%' AND datname NOT LIKE $1"
		if got := count(t, own, strangers, shared.prefix+"%"); got != 0 {
			t.Errorf("%d databases of another binary are left on the server", got)
		}
	})
}

func BenchmarkDatabase(b *testing.B) {
	for b.Loop() {
		Database(b, migrate)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return conn
}

func count(t *testing.T, conn *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	if err := conn.QueryRow(context.WithoutCancel(t.Context()), sql, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
