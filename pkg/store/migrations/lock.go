package migrations

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/pressly/goose/v3/lock"

	"windlass.dev/windlass/pkg/retry"
)

const (
	// lockPause is the time between two attempts to take the migration lock.
	lockPause = time.Second
	// lockTimeout bounds all attempts.
	lockTimeout = 5 * time.Minute
)

var errLocked = errors.New("another process holds the migration lock")

// Statements of the migration lock. It belongs to a transaction that stays open
// beside the migrations, and not to a session: behind a pooler that multiplexes
// sessions, a session's lock would outlive its holder. The number is goose's,
// so that it excludes versions that lock by session.
const (
	unlimitedSQL = `SELECT set_config('idle_in_transaction_session_timeout', '0', true)`
	lockSQL      = `SELECT pg_try_advisory_xact_lock($1)`
)

// withLock runs do while this process holds the migration lock.
func withLock(ctx context.Context, db *sql.DB, do func() error) error {
	end := time.Now().Add(lockTimeout)
	for {
		held, err := tryWithLock(ctx, db, do)
		if held || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("wait for the migration lock: %w", errLocked)
		}
		if !retry.Sleep(ctx, lockPause) {
			return fmt.Errorf("wait for the migration lock: %w", context.Cause(ctx))
		}
	}
}

func tryWithLock(ctx context.Context, db *sql.DB, do func() error) (held bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("take the migration lock: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // releases the lock; the transaction wrote nothing
	if err := tx.QueryRowContext(ctx, lockSQL, lock.DefaultLockID).Scan(&held); err != nil {
		return false, fmt.Errorf("take the migration lock: %w", err)
	}
	if !held {
		return false, nil
	}
	// Without arguments this is a simple query, which also closes the portal of
	// the one before. An open portal keeps its snapshot, and CREATE INDEX
	// CONCURRENTLY waits for snapshots.
	if _, err := tx.ExecContext(ctx, unlimitedSQL); err != nil {
		return false, fmt.Errorf("keep the migration lock: %w", err)
	}
	return true, do()
}
