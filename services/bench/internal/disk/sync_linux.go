package disk

import (
	"os"
	"syscall"
)

// syncData is what Postgres does to its WAL at a commit.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
