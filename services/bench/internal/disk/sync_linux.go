package disk

import (
	"os"
	"syscall"
)

// syncData flushes as Postgres flushes its WAL at a commit.
func syncData(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }
