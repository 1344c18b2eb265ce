package localpg

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A process that is being started has our descriptors until it executes its program; that must not hold a lock that we gave up.
func TestALockThatAChildStillHas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Dup(int(first.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	child := os.NewFile(uintptr(fd), path)
	defer child.Close()
	if _, err := lockFile(path); err == nil {
		t.Fatal("a lock was taken twice")
	}
	if err := unlock(first); err != nil {
		t.Fatal(err)
	}
	second, err := lockFile(path)
	if err != nil {
		t.Fatalf("the lock after it was given up: %v", err)
	}
	if err := unlock(second); err != nil {
		t.Fatal(err)
	}
}
