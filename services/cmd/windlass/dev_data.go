package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"windlass.dev/windlass/pkg/localpg"
)

// lockData makes this process the only one on a data folder, until the file is
// closed or the process ends. Two NATS servers would destroy each other's files.
func lockData(data string) (*os.File, error) {
	path := filepath.Join(data, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return nil, fmt.Errorf(
			"another windlass dev (process %s) uses the data folder %s: stop it, or start with another --data",
			strings.TrimSpace(string(holder)), data)
	}
	if err := errors.Join(f.Truncate(0), write(f, fmt.Sprintln(os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, err), f.Close())
	}
	return f, nil
}

func write(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func (d *dev) postgresConfig() localpg.Config {
	return localpg.Config{BinDir: d.PGBin, DataDir: filepath.Join(d.data, "postgres"), Progress: os.Stderr}
}

// openPostgresDir is where the private Postgres keeps its files if it cannot
// enter the data folder.
func (d *dev) openPostgresDir() string {
	sum := sha256.Sum256([]byte(d.data))
	return filepath.Join(os.TempDir(), "windlass-"+hex.EncodeToString(sum[:6]))
}

// findPostgres finds or downloads Postgres, before the time for the start runs.
func (d *dev) findPostgres(ctx context.Context) (err error) {
	if d.DatabaseURL != "" {
		return nil
	}
	cfg := d.postgresConfig()
	if _, err := os.Stat(filepath.Join(cfg.DataDir, "pgdata")); errors.Is(err, os.ErrNotExist) {
		cfg.DataDir = d.openPostgresDir() // if the files are there, their version counts
	}
	d.PGBin, err = localpg.Binaries(ctx, cfg)
	return err
}
