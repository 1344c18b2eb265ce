package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Query runs one statement that returns one row on the database at url, in a
// session of its own, and scans the row into dest. It is for tests of whole
// services, which must not speak SQL themselves. tb fails if there is not
// exactly one row.
func Query(tb testing.TB, url, sql string, args []any, dest ...any) {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), adminLimit, fmt.Errorf("not done after %s", adminLimit))
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatalf("storetest: connect: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, sql, args...)
	if err == nil {
		_, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (struct{}, error) {
			return struct{}{}, row.Scan(dest...)
		})
	}
	if err != nil {
		tb.Fatalf("storetest: query: %v", err)
	}
}
