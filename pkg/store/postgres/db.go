package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	pool    *pgxpool.Pool
	outage  *outage
	primary *hosts
}

// Open makes the pool. It does not connect, so that a service starts while
// Postgres is down.
func Open(cfg Config) (*DB, error) {
	out := &outage{log: cfg.Log}
	primary := &hosts{outage: out}
	pool, err := openPool(cfg, out, primary)
	if err != nil {
		return nil, err
	}
	return &DB{pool: pool, outage: out, primary: primary}, nil
}

// Close waits for running statements and closes the pool.
func (db *DB) Close() { db.pool.Close() }

// Up reports whether the last attempt to connect succeeded, for metrics. It is
// true before the first attempt.
func (db *DB) Up() bool { return db.outage.current() == nil }

// Ping returns nil if the database accepts writes; for readiness. If the server
// refuses connections, the error is the server's own reason. Its Public method
// returns the part of it that names no address, user or database.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.ping(ctx); err != nil {
		return unready{err}
	}
	return nil
}

func (db *DB) ping(ctx context.Context) error {
	var readOnly string
	err := db.pool.QueryRow(ctx, readOnlySQL, pgx.QueryExecModeExec).Scan(&readOnly)
	if err == nil && readOnly == "on" {
		db.pool.Reset() // it accepted writes when these connections were made
		err = errReadOnly
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		db.pool.Reset() // the other connections lead to the same silent server
	}
	if reason := db.outage.current(); reason != nil {
		return reason
	}
	return fmt.Errorf("ping the database: %w", err)
}

// Acquire takes one connection of the pool, for several statements on the same
// session. Statements that are sent on it have no time limit of their own.
func (db *DB) Acquire(ctx context.Context) (*pgxpool.Conn, error) {
	return db.pool.Acquire(ctx)
}
