//go:build !linux

package disk

import "os"

// syncData is the closest that this system has to fdatasync.
func syncData(f *os.File) error { return f.Sync() }
