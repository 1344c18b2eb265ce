package storetest

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// leftoverAge is more than a directory needs from its making to its server's
// lock.
const leftoverAge = 10 * time.Minute

// removeLeftovers removes the directories of test binaries that were killed. It
// is a courtesy: errors change nothing.
func removeLeftovers(parent string) {
	dirs, err := filepath.Glob(filepath.Join(parent, dirPrefix+"*"))
	if err != nil {
		return
	}
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > leftoverAge && abandoned(dir) {
			_ = os.RemoveAll(dir)
		}
	}
}

// abandoned reports whether no process holds the lock that localpg keeps on a
// directory while its server runs.
func abandoned(dir string) bool {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, os.ErrNotExist)
	}
	defer lock.Close()
	return syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
