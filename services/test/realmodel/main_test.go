//go:build realmodel

package realmodel

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// stack is shared by all tests: both model servers and one dev.
var stack *world

func TestMain(m *testing.M) { os.Exit(suite(m)) }

func suite(m *testing.M) int {
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "realmodel: "+format+"\n", args...) }
	ctx := context.Background()
	kit, err := install(ctx, say)
	if err != nil {
		say("%v", err)
		return 1
	}
	// Not below the user's home: under root, Postgres cannot enter it.
	dir, err := os.MkdirTemp("", "windlass-realmodel-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		say("%v", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	windlass := filepath.Join(dir, "windlass")
	building, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(building, "go", "build", "-o", windlass, "windlass.dev/windlass/services/cmd/windlass")
	if out, err := build.CombinedOutput(); err != nil {
		say("build windlass: %v\n%s", err, out)
		return 1
	}
	stack, err = start(ctx, kit, windlass, dir)
	defer stack.stop()
	if err != nil {
		say("%v", err)
		return 1
	}
	return m.Run()
}
