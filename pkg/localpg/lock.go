package localpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// pollEvery is how often a wait that has no notification looks again.
const pollEvery = 20 * time.Millisecond

// errLocked says that another process, or another caller in this one, holds the lock.
var errLocked = errors.New("locked")

// lockFile takes an exclusive lock that ends with unlock or with the process. It never waits.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errLocked
	}
	return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
}

// unlock ends a lock and closes its file. Close alone would leave it to a child of this process that is between fork and exec, and has
// the descriptor, too.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// waitLock is lockFile that waits for its turn until ctx ends.
func waitLock(ctx context.Context, path string) (*os.File, error) {
	for {
		f, err := lockFile(path)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		if err := pause(ctx, pollEvery); err != nil {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
	}
}

// pause waits for d, or for the end of ctx and returns its cause.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
