//go:build !linux

package storetest

import "os"

// tempDir is where data directories go.
func tempDir() string { return os.TempDir() }
