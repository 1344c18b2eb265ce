package main

import (
	"os"
	"strings"
	"testing"
)

// asProgram in the environment makes the test binary the program itself, whatever its arguments are.
const asProgram = "WINDLASS_TEST_PROGRAM"

// TestMain makes this binary the program itself when it is called like it: the tests below and the benchmark start it.
func TestMain(m *testing.M) {
	_, program := os.LookupEnv(asProgram) //nolint:forbidigo // a switch of the tests, not configuration
	if program || len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		main()
		return
	}
	os.Exit(m.Run())
}

// dataDir is a directory that Postgres can get at, when a test is run by root, too; a test's own is closed to it.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "windlass-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
