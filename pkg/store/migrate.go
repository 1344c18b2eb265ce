package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const undefinedTable = "42P01"

// Migrate brings the schema forward to this binary's version under a session advisory lock, so that several may try at once.
// It returns the version reached. Migrations only go forward. Their numbers may have gaps: one that fills a gap later is applied
// then, so none may depend on one of a higher number.
func Migrate(ctx context.Context, url string) (int64, error) { return migrate(ctx, url, migrations) }

func migrate(ctx context.Context, url string, from fs.FS) (int64, error) {
	var version int64
	err := withProvider(ctx, url, from, func(_ *sql.DB, p *goose.Provider) error {
		if _, err := p.Up(ctx); err != nil {
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
		for _, source := range p.ListSources() {
			applied, err := isApplied(ctx, db, source.Version)
			if err != nil {
				return fmt.Errorf("read the schema version: %w", err)
			}
			if !applied {
				return fmt.Errorf("%w: it lacks version %d, which this binary needs; run windlass migrate", ErrSchema, source.Version)
			}
		}
		return nil
	})
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
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("parse the database url: %w", err)
	}
	db := stdlib.OpenDB(*cfg.ConnConfig)
	defer func() { _ = db.Close() }()                                          // nothing was left unwritten
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // tried every second for 5 minutes
	if err != nil {
		return fmt.Errorf("make the migration lock: %w", err)
	}
	files, err := fs.Sub(from, "migrations")
	if err != nil {
		return fmt.Errorf("open the embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker),
		goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return use(db, p)
}
