// Package runtest makes databases with runs in every state, for tests of the
// store and the packages below it.
package runtest

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/retention"
	"windlass.dev/windlass/pkg/store/storetest"
)

// World is a database with all tables, and the stores on it.
type World struct {
	*store.Store
	DB            *postgres.DB
	Answers       *answers.Store
	Budgets       *limits.Budgets
	Conversations *conversations.Store
	Idempotency   *idempotency.Store
	Keys          *keys.Store
	Retention     *retention.Store
}

// Migrate makes the template of a test's database.
func Migrate(ctx context.Context, url string) error {
	_, err := migrations.Apply(ctx, url)
	return err
}

// Open returns a world on a database of its own.
func Open(tb testing.TB) *World {
	tb.Helper()
	return OpenAt(tb, storetest.Database(tb, Migrate))
}

// OpenAt returns a world on the database at url.
func OpenAt(tb testing.TB, url string) *World {
	tb.Helper()
	db, err := postgres.Open(postgres.Config{URL: url, MaxConns: 8})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(db.Close)
	return New(db)
}

// New returns a world on the pool.
func New(db *postgres.DB) *World {
	return &World{
		Store: store.New(db), DB: db, Answers: answers.New(db), Budgets: limits.New(db),
		Conversations: conversations.New(db), Idempotency: idempotency.New(db), Keys: keys.New(db),
		Retention: retention.New(db),
	}
}

// Dump returns every row of every table, with the transaction and place of its
// version, so that a row that was rewritten with the same values differs as
// well.
func Dump(tb testing.TB, w *World) string {
	tb.Helper()
	var out strings.Builder
	for _, table := range []string{
		"requests", "steps", "bodies", "conversations", "conversation_items", "idempotency", "budgets",
	} {
		const columns = `concat_ws(' ', t.tableoid::regclass, t.xmin, t.ctid, to_jsonb(t))`
		sql := `SELECT ` + columns + ` FROM ` + table + ` t ORDER BY 1`
		out.WriteString(strings.Join(Ask[string](tb, w, sql), "\n") + "\n")
	}
	return out.String()
}

// Ask reads one column with a statement of the test.
func Ask[T any](tb testing.TB, w *World, sql string, args ...any) []T {
	tb.Helper()
	conn, err := w.DB.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Release()
	rows, err := conn.Query(tb.Context(), sql, args...)
	if err != nil {
		tb.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return out
}

// Exec runs a statement of the test.
func Exec(tb testing.TB, w *World, sql string, args ...any) {
	tb.Helper()
	conn, err := w.DB.Acquire(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(tb.Context(), sql, args...); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}
