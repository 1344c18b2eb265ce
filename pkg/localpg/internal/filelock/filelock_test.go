package filelock

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A process that is being started has our descriptors until it executes its
// program; that must not keep a lock that we released.
func TestALockThatAChildStillHas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(first.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	child := os.NewFile(uintptr(fd), path)
	defer child.Close()
	if _, err := TryLock(path); err == nil {
		t.Fatal("a lock was taken twice")
	}
	if err := Unlock(first); err != nil {
		t.Fatal(err)
	}
	second, err := TryLock(path)
	if err != nil {
		t.Fatalf("the lock after it was given up: %v", err)
	}
	if err := Unlock(second); err != nil {
		t.Fatal(err)
	}
}
