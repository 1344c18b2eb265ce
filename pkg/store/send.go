package store

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// pooledSQL gives one statement its settings behind a pooler, where a session
// keeps none. It is sent ahead of the statement in the same round trip and the
// same implicit transaction, which ends at the batch's one Sync.
var pooledSQL = `SELECT ` + setConfig(true, ", ")

// send sends one statement, whose rows the caller reads to their end or closes.
// On a connection of its own the statement is prepared once by name. Behind a
// pooler no state of a session is relied on: no names, no settings.
func (s *Store) send(ctx context.Context, sql string, a args) (pgx.Rows, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if isPooled(conn.Conn()) {
		return s.sendPooled(ctx, conn, sql, a), nil
	}
	rows, err := conn.Query(ctx, sql, pgx.QueryExecModeCacheStatement, a)
	if err != nil {
		s.release(conn)
		return nil, err
	}
	return &sent{Rows: rows, conn: conn, release: s.release}, nil
}

func (s *Store) sendPooled(ctx context.Context, conn *pgxpool.Conn, sql string, a args) pgx.Rows {
	b := &pgx.Batch{}
	b.Queue(pooledSQL)
	b.Queue(sql, a)
	results := conn.SendBatch(ctx, b)
	_, _ = results.Exec() // its error is the batch's, which the second result has too
	rows, _ := results.Query()
	return &sent{Rows: rows, batch: results, conn: conn, release: s.release}
}

// release gives a connection back to the pool, which drops it if it is closed.
// A connection that was lost makes the next one search for the primary.
func (s *Store) release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		s.primary.forget()
	}
	conn.Release()
}

// exec sends one statement that returns no rows.
func (s *Store) exec(ctx context.Context, sql string, a args) (pgconn.CommandTag, error) {
	rows, err := s.send(ctx, sql, a)
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	rows.Close()
	return rows.CommandTag(), rows.Err()
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
