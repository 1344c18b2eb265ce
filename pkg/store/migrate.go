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
// It returns the version reached. Migrations only go forward.
func Migrate(ctx context.Context, url string) (int64, error) {
	var version int64
	err := withProvider(ctx, url, func(_ *sql.DB, p *goose.Provider) error {
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate the database: %w", err)
		}
		v, err := p.GetDBVersion(ctx)
		version = v
		return err
	})
	return version, err
}

// CheckSchema returns ErrSchema when the database has not reached this binary's version. A newer schema is accepted: old and new
// binaries overlap.
func CheckSchema(ctx context.Context, url string) error {
	return withProvider(ctx, url, func(db *sql.DB, p *goose.Provider) error {
		target := p.ListSources()[len(p.ListSources())-1].Version
		current, err := appliedVersion(ctx, db)
		if err != nil {
			return fmt.Errorf("read the schema version: %w", err)
		}
		if current < target {
			return fmt.Errorf("%w: it is at version %d, this binary needs %d; run windlass migrate", ErrSchema, current, target)
		}
		return nil
	})
}

// appliedVersion only reads: goose would make its table if it were missing, and a service's role would then own it.
func appliedVersion(ctx context.Context, db *sql.DB) (int64, error) {
	var version int64
	err := db.QueryRowContext(ctx, `SELECT COALESCE(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return 0, nil
	}
	return version, err
}

func withProvider(ctx context.Context, url string, use func(*sql.DB, *goose.Provider) error) error {
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
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("open the embedded migrations: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach the database: %w", err)
	}
	return use(db, p)
}
