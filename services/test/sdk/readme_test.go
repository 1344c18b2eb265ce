package sdk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var pinned = regexp.MustCompile(`(?m)^([a-z-]+)==(\S+)$|^\tgithub\.com/openai/(openai-go)/v3 v(\S+)`)

// TestReadmeNamesThePinnedVersions compares the README's table of clients with
// the lock files.
func TestReadmeNamesThePinnedVersions(t *testing.T) {
	t.Parallel()
	readme := read(t, filepath.Join("..", "..", "..", "README.md"))
	versions := make(map[string]string)
	for _, kit := range []*kit{nodeKit, codexKit} {
		var manifest struct{ Dependencies map[string]string }
		if err := json.Unmarshal([]byte(read(t, filepath.Join(kit.dir, "package.json"))), &manifest); err != nil {
			t.Fatal(err)
		}
		for dependency, version := range manifest.Dependencies {
			versions["npm `"+dependency+"`"] = version
		}
	}
	for _, helper := range []string{"@langchain/core", "ws", "zod"} { // packages of clients, not clients
		delete(versions, "npm `"+helper+"`")
	}
	for _, file := range []string{filepath.Join("python", "requirements.in"), filepath.Join("..", "..", "go.mod")} {
		for _, m := range pinned.FindAllStringSubmatch(read(t, file), -1) {
			if m[1] != "" {
				versions["PyPI `"+m[1]+"`"] = m[2]
			} else {
				versions["`"+m[3]+"`"] = m[4]
			}
		}
	}
	if len(versions) != 9 {
		t.Errorf("the lock files name %d clients, want 9: %v", len(versions), versions)
	}
	for name, version := range versions {
		if !strings.Contains(readme, "| "+name+" | "+version+" |") {
			t.Errorf("the README's table has no %s %s", name, version)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
