// Package migrations holds the schema of the database: one file per migration,
// numbered, embedded into the binary and applied in order. To change the schema
// add the next file; never change one that was released.
//
// # Promises
//
//   - Several processes may call [Apply] at the same time (TestMigrate), also
//     through a connection pooler (TestMigrateThroughOneServerConnection).
//   - Migrations only go forward. Their numbers may have gaps, and a migration
//     that fills a gap later is applied then, so none may depend on a higher
//     number (TestMigrationThatFillsAGapIsApplied).
//   - A newer schema passes [Check], because old and new binaries overlap
//     during a deployment. New columns are therefore nullable or have a
//     default.
package migrations

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	"windlass.dev/windlass/pkg/store/postgres"
)

//go:embed *.sql
var files embed.FS

// ErrSchema means that the database lacks a migration that this binary needs.
var ErrSchema = errors.New("the database schema does not match")

const undefinedTable = "42P01"

// Apply brings the schema forward to this binary's version under an advisory
// lock, so that several processes may try at once. It returns the version
// reached.
func Apply(ctx context.Context, url string) (int64, error) { return apply(ctx, url, files) }

func apply(ctx context.Context, url string, from fs.FS) (int64, error) {
	var version int64
	err := withProvider(ctx, url, from, func(db *sql.DB, p *goose.Provider) error {
		missing, err := firstMissing(ctx, db, p)
		if err == nil && missing != 0 { // a schema that is current needs no lock, and no second connection
			err = withLock(ctx, db, func() error { _, err := p.Up(ctx); return err })
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

// Check returns ErrSchema if the database lacks a migration of this binary. It
// only reads.
func Check(ctx context.Context, url string) error { return check(ctx, url, files) }

func check(ctx context.Context, url string, from fs.FS) error {
	return withProvider(ctx, url, from, func(db *sql.DB, p *goose.Provider) error {
		missing, err := firstMissing(ctx, db, p)
		if err == nil && missing != 0 {
			err = fmt.Errorf("%w: it lacks version %d, which this binary needs; run windlass migrate",
				ErrSchema, missing)
		}
		return err
	})
}

// firstMissing returns the first migration that the database lacks, 0 if it has
// all.
func firstMissing(ctx context.Context, db *sql.DB, p *goose.Provider) (int64, error) {
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

const isAppliedSQL = `SELECT EXISTS (SELECT FROM goose_db_version WHERE is_applied AND version_id = $1)`

// isApplied only reads: goose would create its table if it were missing, and a
// service's role would then own it.
func isApplied(ctx context.Context, db *sql.DB, version int64) (applied bool, err error) {
	err = db.QueryRowContext(ctx, isAppliedSQL, version).Scan(&applied)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == undefinedTable {
		return false, nil
	}
	return applied, err
}

func withProvider(ctx context.Context, url string, from fs.FS, use func(*sql.DB, *goose.Provider) error) error {
	db, err := postgres.OpenSQL(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // every statement has returned
	p, err := goose.NewProvider(goose.DialectPostgres, db, from, goose.WithAllowOutofOrder(true))
	if err != nil {
		return fmt.Errorf("read the embedded migrations: %w", err)
	}
	return use(db, p)
}
