package dev

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/localpg"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/cli/internal/address"
	"windlass.dev/windlass/services/cli/internal/datafolder"
)

// databaseWait is how long dev waits for a database that cannot be reached or
// is starting up.
const databaseWait = 10 * time.Second

func (d *dev) postgresConfig() localpg.Config {
	return localpg.Config{BinDir: d.PGBin, DataDir: d.data.Path("postgres"), Progress: os.Stderr}
}

// openPostgresDir is where the private Postgres keeps its files if it cannot
// enter the data folder.
func (d *dev) openPostgresDir() string {
	sum := sha256.Sum256([]byte(d.data))
	return filepath.Join(os.TempDir(), "windlass-"+hex.EncodeToString(sum[:6]))
}

// findPostgres finds or downloads Postgres, before startTime begins.
func (d *dev) findPostgres(ctx context.Context) (err error) {
	if d.DatabaseURL != "" {
		return nil
	}
	cfg := d.postgresConfig()
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "pgdata")); errors.Is(err, os.ErrNotExist) {
		cfg.DataDir = d.openPostgresDir() // files that exist decide on the version
	}
	d.PGBin, err = localpg.Binaries(ctx, cfg)
	return err
}

// usePostgres starts the private Postgres, or waits for that of --database-url,
// and migrates it.
func (d *dev) usePostgres(ctx context.Context) error {
	if d.DatabaseURL == "" {
		if err := d.startPostgres(ctx); err != nil {
			return err
		}
	}
	err := postgres.Await(ctx, d.DatabaseURL, databaseWait, d.logDatabaseWait)
	if err == nil {
		_, err = migrations.Apply(ctx, d.DatabaseURL)
	}
	if err != nil {
		return d.explainDatabase(err)
	}
	return d.data.Write(datafolder.DatabaseURL, d.DatabaseURL) // the port changes with every start
}

func (d *dev) startPostgres(ctx context.Context) (err error) {
	cfg := d.postgresConfig()
	d.pgData = cfg.DataDir
	d.pg, err = localpg.Start(ctx, cfg)
	if errors.Is(err, localpg.ErrOutOfReach) {
		// Root's home is closed to the account Postgres runs as: keep its files
		// where that account can go.
		cfg.DataDir = d.openPostgresDir()
		fmt.Fprintf(os.Stderr, "Postgres cannot enter %s; its files are in %s\n", d.data, cfg.DataDir)
		d.pgData = cfg.DataDir
		d.pg, err = localpg.Start(ctx, cfg)
	}
	if errors.Is(err, localpg.ErrRunning) {
		return fmt.Errorf("another windlass dev uses %s: stop it, or choose another directory with --data",
			shortPath(string(d.data)))
	}
	if err != nil {
		return err
	}
	d.DatabaseURL = d.pg.URL()
	return nil
}

// watchPostgres ends dev when its Postgres ends: no request can be accepted
// without it, and dev does not restart it.
func (d *dev) watchPostgres(ctx context.Context) error {
	if d.pg == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return nil
	case <-d.pg.Done():
		return fmt.Errorf("the private Postgres ended; its log is in %s; start dev again to continue", d.pgData)
	}
}

// logDatabaseWait says which database dev waits for, and why.
func (d *dev) logDatabaseWait(reason error) {
	d.rt.Log.Warn("start check", zap.String("hint", fmt.Sprintf("dev waits for up to %s", databaseWait)),
		zap.String("error", fmt.Sprintf("the database at %s does not answer yet: %v",
			address.Redact(d.DatabaseURL), shortenDatabaseError(reason))))
}

// explainDatabase adds to the error of --database-url's Postgres what to do.
func (d *dev) explainDatabase(err error) error {
	if d.pg != nil || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf(
		"the database at %s cannot be used: %w; correct --database-url, or leave it out to use a private Postgres",
		address.Redact(d.DatabaseURL), shortenDatabaseError(err))
}

// shortenDatabaseError leaves out the driver's account of each attempt.
func shortenDatabaseError(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op
	}
	return err
}
