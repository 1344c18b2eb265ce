// Package disk measures what a flush costs on the disk in use.
package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	flushBlock   = 8 << 10
	flushBlocks  = 512
	flushSamples = 300
	flushLimit   = 3 * time.Second
)

// Flushes measures the disk below dir: each sample is one write of 8 kB over
// existing data, as into a WAL segment, and its flush. A slow disk gives fewer
// samples.
func Flushes(ctx context.Context, dir string) (took []time.Duration, err error) {
	f, err := os.Create(filepath.Join(dir, "flush"))
	if err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, flushBlocks*flushBlock)); err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("measure the disk: %w", err)
	}
	block := make([]byte, flushBlock)
	for i, end := 0, time.Now().Add(flushLimit); i < flushSamples && time.Now().Before(end) && ctx.Err() == nil; i++ {
		block[0] = byte(i)
		began := time.Now()
		if _, err := f.WriteAt(block, int64(i%flushBlocks)*flushBlock); err != nil {
			return nil, fmt.Errorf("measure the disk: %w", err)
		}
		if err := syncData(f); err != nil {
			return nil, fmt.Errorf("measure the disk: %w", err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}
