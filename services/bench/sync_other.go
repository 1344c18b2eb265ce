//go:build !linux

package bench

import "os"

// syncData is the nearest there is to fdatasync.
func syncData(f *os.File) error { return f.Sync() }
