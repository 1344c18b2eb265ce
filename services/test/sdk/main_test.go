package sdk

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const (
	apiKey = "wl-sdktest"
	// patience is long for a busy machine.
	patience = 2 * time.Minute
)

var windlass string // path of the program

func TestMain(m *testing.M) { os.Exit(suite(m)) }

func suite(m *testing.M) int {
	dir, err := os.MkdirTemp("", "windlass-sdk-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "sdktest:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	windlass = filepath.Join(dir, "windlass")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", windlass, "windlass.dev/windlass/services/cmd/windlass")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "sdktest: build windlass: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

var ready = regexp.MustCompile(`ready on (\S+) `)

// startDev starts a `windlass dev` that ends with the test, and returns the URL
// of its API.
func startDev(t *testing.T, more ...string) string {
	t.Helper()
	// Postgres cannot enter t.TempDir() under root.
	data, err := os.MkdirTemp("", "windlass-sdk-data-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(data) })
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"dev", "--data", data, "--listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--api-key", apiKey}
	cmd := exec.Command(windlass, append(args, more...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, cmd) })
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
			return m[1]
		}
	}
	t.Fatalf("dev ended, or was not ready in %s", patience)
	return ""
}

// stop is Ctrl-C.
func stop(t *testing.T, cmd *exec.Cmd) {
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Errorf("dev ended with %v after an interrupt, want 0", err)
	}
}
