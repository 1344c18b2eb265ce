//go:build e2e

package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// previousFlag names the version beside which the services of this one run.
var previousFlag = flag.String("previous", "10c95cc",
	"the commit whose services run beside those of the working tree, or a directory with their binaries")

var previous struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

// previousBinaries builds the services of the previous version, once for all
// tests, into a directory beside the current ones.
func previousBinaries(t *testing.T) string {
	t.Helper()
	if info, err := os.Stat(*previousFlag); err == nil && info.IsDir() {
		return *previousFlag
	}
	previous.once.Do(func() {
		source := filepath.Join(binaries, "previous-source")
		previous.dir = filepath.Join(binaries, "previous")
		build := `set -e
mkdir -p "$1" "$2"
git -C "$(git rev-parse --show-toplevel)" archive "$3" | tar -x -C "$1"
cd "$1"
GOFLAGS=-buildvcs=false go build -o "$2/" ./services/cmd/...`
		cmd := exec.Command("sh", "-c", build, "sh", source, previous.dir, *previousFlag)
		previous.out, previous.err = cmd.CombinedOutput()
		_ = os.RemoveAll(source) // the whole directory goes at the end
	})
	if previous.err != nil {
		t.Fatalf("build the services of %s (see the flag -previous): %v\n%s", *previousFlag, previous.err, previous.out)
	}
	return previous.dir
}
