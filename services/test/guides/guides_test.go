package guides

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"windlass.dev/windlass/services/mock"
)

// servers are commands that run until they are stopped, by name.
var servers = regexp.MustCompile(`windlass (dev|mock)\b|python3 (tool\.py)`)

// TestGuides runs the commands of each guide from top to bottom.
func TestGuides(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("SKIPPED: this machine has no %s, so that no command of the guides was tried", name)
		}
	}
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin+"/", "./services/cmd/...")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	scripted := mock.New()
	model := httptest.NewServer(scripted)
	t.Cleanup(func() { scripted.Close(); model.Close() })
	guides, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"}
	for _, path := range guides {
		names = append(names, "docs/"+filepath.Base(path))
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			r := newReader(t, bin, model.URL+"/v1")
			for _, b := range readBlocks(t, name) {
				r.follow(t, fmt.Sprintf("%s:%d", name, b.line), b)
			}
		})
	}
}

// follow does what one block says.
func (r *reader) follow(t *testing.T, at string, b block) {
	t.Helper()
	if m := written.FindStringSubmatch(b.directive); m != nil {
		r.write(t, m[2], b.code, m[1] == "more of")
		return
	}
	commands := b.commands()
	if b.directive != "" && !reason.MatchString(b.directive) {
		t.Errorf("%s: the comment %q before the block is unknown", at, b.directive)
	}
	if b.language == "" && typed.MatchString(b.code) {
		t.Errorf("%s: commands belong into a block of sh", at)
	}
	if b.directive != "" || len(commands) == 0 {
		return
	}
	t.Logf("%s", at)
	for _, command := range commands {
		if strings.Contains(command, "nats ") && !available(t, "nats") {
			t.Logf("SKIPPED: this machine has no nats CLI: %s", command)
			continue
		}
		if m := servers.FindStringSubmatch(strings.ReplaceAll(command, "./services/cmd/windlass", "windlass")); m != nil {
			r.serve(t, m[1]+m[2], command)
			continue
		}
		if needsDev.MatchString(command) && r.serving["dev"] == nil {
			r.serve(t, "dev", "windlass dev")
		}
		r.run(t, command)
	}
}

var typed = regexp.MustCompile(`(?m)^(\$ )?(windlass|nats|go|curl|python3|task|npm|pip) \S`)

// needsDev matches commands for which a guide expects windlass dev to run.
var needsDev = regexp.MustCompile(`127\.0\.0\.1:8080|\.windlass/|nats `)

func (r *reader) write(t *testing.T, name, text string, more bool) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if more {
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text = string(before) + text
	}
	if err := os.WriteFile(path, []byte(r.adapt(t, text)), 0o600); err != nil {
		t.Fatal(err)
	}
}

func available(t *testing.T, program string) bool {
	t.Helper()
	if _, err := os.Stat(filepath.Join(tools(t), program)); err == nil {
		return true
	}
	_, err := exec.LookPath(program)
	return err == nil
}
