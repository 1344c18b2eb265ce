package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// StatementTimeout bounds one statement from the caller's side. It closes a
// connection that stays silent for that long.
const StatementTimeout = 5 * time.Second

// Query sends one statement, within [StatementTimeout], and collects its rows.
func Query[T any](ctx context.Context, db *DB, sql string, a Args, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, StatementTimeout, context.DeadlineExceeded)
	defer cancel()
	rows, err := db.Send(ctx, sql, a)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}

// QueryOne is Query for a statement that returns at most one row. It returns
// ErrNotFound for no row.
func QueryOne[T any](ctx context.Context, db *DB, sql string, a Args, scan pgx.RowToFunc[T]) (T, error) {
	rows, err := Query(ctx, db, sql, a, scan)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return rows[0], nil
}

// Exec sends one statement that returns no rows, within [StatementTimeout], and
// returns how many rows it changed.
func (db *DB) Exec(ctx context.Context, sql string, a Args) (int64, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, StatementTimeout, context.DeadlineExceeded)
	defer cancel()
	rows, err := db.Send(ctx, sql, a)
	if err != nil {
		return 0, err
	}
	rows.Close()
	return rows.CommandTag().RowsAffected(), rows.Err()
}

// pooledSQL gives one statement its settings behind a pooler, where a session
// keeps none. It is sent ahead of the statement in the same round trip and the
// same implicit transaction, which ends at the batch's one Sync.
var pooledSQL = `SELECT ` + setConfig(true, ", ")

// Send sends one statement, whose rows the caller reads to their end or closes.
// The caller bounds ctx. On a connection of its own the statement is prepared
// once by name. Behind a pooler it relies on no state of the session: neither
// names nor settings.
func (db *DB) Send(ctx context.Context, sql string, a Args) (pgx.Rows, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if isPooled(conn.Conn()) {
		return db.sendPooled(ctx, conn, sql, a), nil
	}
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeCacheStatement, a)
	if err != nil {
		db.release(conn)
		return nil, err
	}
	return &sent{Rows: rows, conn: conn, release: db.release}, nil
}

func (db *DB) sendPooled(ctx context.Context, conn *pgxpool.Conn, sql string, a Args) pgx.Rows {
	b := &pgx.Batch{}
	b.Queue(pooledSQL)
	b.Queue(sql, a)
	results := conn.SendBatch(ctx, b)
	_, _ = results.Exec() // its error is the batch's, which the second result has too
	rows, _ := results.Query()
	return &sent{Rows: rows, batch: results, conn: conn, release: db.release}
}

// release gives a connection back to the pool, which drops it if it is closed.
// After a lost connection the next one searches for the primary.
func (db *DB) release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		db.primary.forget()
	}
	conn.Release()
}

// sent are the rows of a statement. Closing them ends the batch, in which a
// commit may fail, and releases the connection.
type sent struct {
	pgx.Rows
	batch   pgx.BatchResults // nil if the statement was sent alone
	conn    *pgxpool.Conn    // nil once it is released
	release func(*pgxpool.Conn)
	err     error
}

// Close implements pgx.Rows.
func (r *sent) Close() {
	r.Rows.Close()
	if r.conn == nil {
		return
	}
	r.err = r.Rows.Err()
	if r.batch != nil {
		if err := r.batch.Close(); r.err == nil {
			r.err = err
		}
	}
	r.release(r.conn)
	r.conn = nil
}

// Next implements pgx.Rows.
func (r *sent) Next() bool {
	if r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Err implements pgx.Rows.
func (r *sent) Err() error {
	if r.err != nil {
		return r.err
	}
	return r.Rows.Err()
}

// Scan implements pgx.Rows.
func (r *sent) Scan(dest ...any) error {
	err := r.Rows.Scan(dest...)
	if err != nil {
		r.Close()
	}
	return err
}

// Values implements pgx.Rows.
func (r *sent) Values() ([]any, error) {
	values, err := r.Rows.Values()
	if err != nil {
		r.Close()
	}
	return values, err
}
