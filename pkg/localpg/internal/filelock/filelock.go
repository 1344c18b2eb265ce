// Package filelock locks files between processes, and between callers in one
// process. A lock ends with Unlock or with its process.
package filelock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"windlass.dev/windlass/pkg/retry"
)

// pollEvery is the time between two attempts of Lock.
const pollEvery = 20 * time.Millisecond

// ErrLocked means that another process, or another caller in this one, holds
// the lock.
var ErrLocked = errors.New("locked")

// TryLock takes an exclusive lock, or returns ErrLocked at once.
func TryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
}

// Unlock ends a lock and closes its file. Close alone would leave the lock to a
// child of this process that is between fork and exec, and has the descriptor
// too (TestALockThatAChildStillHas).
func Unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// Lock waits for the lock until ctx ends.
func Lock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := TryLock(path)
		if !errors.Is(err, ErrLocked) {
			return f, err
		}
		if !retry.Sleep(ctx, pollEvery) {
			return nil, fmt.Errorf("lock %s: %w", path, context.Cause(ctx))
		}
	}
}
