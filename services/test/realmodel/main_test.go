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

// stack is what all tests share: both model servers, one dev before them.
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
	// Not below the user's own directory: that is closed to the account that Postgres runs as under root.
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
