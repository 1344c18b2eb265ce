package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const undefinedTable = "42P01"

// Migrate brings the schema forward to this binary's version under an advisory lock, so that several may try at once.
// It returns the version reached. Migrations only go forward. Their numbers may have gaps: one that fills a gap later is applied
// then, so none may depend on one of a higher number.
func Migrate(ctx context.Context, url string) (int64, error) { return migrate(ctx, url, migrations) }

func migrate(ctx context.Context, url string, from fs.FS) (int64, error) {
	var version int64
	err := withProvider(ctx, url, from, func(db *sql.DB, p *goose.Provider) error {
		lacks, err := missing(ctx, db, p)
		if err == nil && lacks != 0 { // a schema that is current needs no lock, and no second connection
			err = locked(ctx, db, func() error { _, err := p.Up(ctx); return err })
		}
		if err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		v, err := p.GetDBVersion(ctx)
		version = v
		return err
	})
	return version, err
}

// CheckSchema returns ErrSchema when the database lacks a migration of this binary. A newer schema is accepted: old and new
// binaries overlap.
func CheckSchema(ctx context.Context, url string) error { return checkSchema(ctx, url, migrations) }

func checkSchema(ctx context.Context, url string, from fs.FS) error {
	return withProvider(ctx, url, from, func(db *sql.DB, p *goose.Provider) error {
		lacks, err := missing(ctx, db, p)
		if err == nil && lacks != 0 {
			err = fmt.Errorf("%w: it lacks version %d, which this binary needs; run windlass migrate", ErrSchema, lacks)
		}
		return err
	})
}

// missing returns the first migration that the database lacks, 0 if it has all.
func missing(ctx context.Context, db *sql.DB, p *goose.Provider) (int64, error) {
	for _, source := range p.ListSources() {
		applied, err := isApplied(ctx, db, source.Version)
		if err != nil {
			return 0, fmt.Errorf("read the schema version: %w", err)
		}
		if !applied {
			return source.Version, nil
		}
	}
	return 0, nil
}

// isApplied only reads: goose would make its table if it were missing, and a service's role would then own it.
func isApplied(ctx context.Context, db *sql.DB, version int64) (applied bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM goose_db_version WHERE is_applied AND version_id = $1)`, version).
		Scan(&applied)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return false, nil
	}
	return applied, err
}

func withProvider(ctx context.Context, url string, from fs.FS, use func(*sql.DB, *goose.Provider) error) error {
	pc, err := poolConfig(url, &outage{}, &hosts{outage: &outage{}})
	if err != nil {
		return err
	}
	cc := pc.ConnConfig
	cc.ValidateConnect = checkWritable              // without the settings: a migration may take longer than a statement
	cc.DefaultQueryExecMode = pgx.QueryExecModeExec // the statements of goose, behind a pooler too
	db := stdlib.OpenDB(*cc, stdlib.OptionBeforeConnect(pc.BeforeConnect))
	defer func() { _ = db.Close() }() // nothing was left unwritten
	files, err := fs.Sub(from, "migrations")
	if err != nil {
		return fmt.Errorf("open the embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", connectReason(err))
	}
	return use(db, p)
}

const (
	// lockPause is the time between two attempts to take the migration lock, lockWait all of them.
	lockPause = time.Second
	lockWait  = 5 * time.Minute
)

var errLocked = errors.New("another process holds the migration lock")

// Statements of the migration lock. It belongs to a transaction that stays open beside the migrations, and not to a session: behind
// a pooler that multiplexes sessions, a session's lock would outlive its holder. The number is goose's, so that it excludes
// versions that lock by session.
const (
	unlimitedSQL = `SELECT set_config('idle_in_transaction_session_timeout', '0', true)`
	lockSQL      = `SELECT pg_try_advisory_xact_lock($1)`
)

// locked runs do while this process holds the migration lock.
func locked(ctx context.Context, db *sql.DB, do func() error) error {
	late := time.After(lockWait)
	for {
		held, err := tryLocked(ctx, db, do)
		if held || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the migration lock: %w", context.Cause(ctx))
		case <-late:
			return fmt.Errorf("wait for the migration lock: %w", errLocked)
		case <-time.After(lockPause):
		}
	}
}

func tryLocked(ctx context.Context, db *sql.DB, do func() error) (held bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, fmt.Errorf("take the migration lock: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // releases the lock; nothing was written in it
	if err := tx.QueryRowContext(ctx, lockSQL, lock.DefaultLockID).Scan(&held); err != nil {
		return false, fmt.Errorf("take the migration lock: %w", err)
	}
	if !held {
		return false, nil
	}
	// Without arguments this is a simple query, which also closes the portal of the one before. An open portal keeps its snapshot,
	// and CREATE INDEX CONCURRENTLY waits for those.
	if _, err := tx.ExecContext(ctx, unlimitedSQL); err != nil {
		return false, fmt.Errorf("keep the migration lock: %w", err)
	}
	return true, do()
}
