// Package localpgtest makes directories for the tests of package localpg and
// the packages below it.
package localpgtest

import (
	"os"
	"path/filepath"
	"testing"
)

// Installation makes executable files below root/dir and returns that
// directory.
func Installation(tb testing.TB, root, dir string, names ...string) string {
	tb.Helper()
	dir = filepath.Join(root, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// NewDir returns a path for a directory that does not exist yet and is removed
// with the test. TempDir is below a directory of mode 0700, which the server's
// user cannot enter if root runs the tests.
func NewDir(tb testing.TB) string {
	tb.Helper()
	base, err := os.MkdirTemp("", "localpg-test-") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			tb.Errorf("clean up: %v", err)
		}
	})
	if err := os.Chmod(base, 0o755); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(base, "data")
}
