// Package program runs the windlass command line in tests. The test binary is
// the program: a package that uses it calls Main from its TestMain.
package program

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/process"
)

// Patience bounds every wait. It is long for a busy machine.
const Patience = 2 * time.Minute

// alwaysProgram in the environment makes the test binary the program whatever
// its arguments are.
const alwaysProgram = "WINDLASS_TEST_PROGRAM"

// Main makes the test binary the program if its first argument is not a flag,
// and otherwise runs the tests.
func Main(m *testing.M, run func(context.Context) error) {
	_, always := os.LookupEnv(alwaysProgram) //nolint:forbidigo // a switch of the tests, not configuration
	if always || len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		process.Command("windlass", run)
		return
	}
	os.Exit(m.Run())
}

// Run runs a command to its end, with env added to the environment.
func Run(t *testing.T, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), env...) //nolint:forbidigo // the environment of a child
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(Patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// RunExact runs the program with exactly these arguments, even without any or
// with flags only.
func RunExact(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	out, errs, err := Run(t, []string{alwaysProgram + "=1", "WINDLASS_REGISTRY="}, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), out, errs
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, out, errs
}

// DataDir returns a directory that Postgres can enter. It cannot enter
// t.TempDir() if root runs the test.
func DataDir(t *testing.T) string {
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

// WriteFile writes a file for a test and returns its path.
func WriteFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ClosedAddress returns an address at which nothing listens.
func ClosedAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// LastLine returns the last line of what a command printed.
func LastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
