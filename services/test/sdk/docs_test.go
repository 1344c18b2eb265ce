package sdk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var docBlock = regexp.MustCompile("(?ms)^## ([^\n]+)$|^```(\\w+)\n(.*?)^```$")

// docSnippet is a block of code in docs/clients.md.
type docSnippet struct{ name, language, code string }

// docSnippets returns the blocks, named by their headings.
func docSnippets(t *testing.T) (all []docSnippet) {
	t.Helper()
	heading, count := "", map[string]int{}
	for _, m := range docBlock.FindAllStringSubmatch(read(t, filepath.Join("..", "..", "..", "docs", "clients.md")), -1) {
		if m[1] != "" {
			heading = m[1]
			continue
		}
		count[heading]++
		all = append(all, docSnippet{fmt.Sprintf("%s %d", heading, count[heading]), m[2], m[3]})
	}
	return all
}

// TestSnippetsOfTheDocs runs the code of docs/clients.md: each snippet asks the
// demo model for the weather and prints its answer.
func TestSnippetsOfTheDocs(t *testing.T) {
	t.Parallel()
	url := startDev(t)
	here := strings.NewReplacer("http://127.0.0.1:8080", url, "wl-dev", apiKey)
	ran := map[string]int{}
	for _, s := range docSnippets(t) {
		ran[s.language]++
		if s.language != "python" && s.language != "js" && s.language != "go" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			cmd := s.command(t, here.Replace(s.code))
			cmd.Env = append(cmd.Environ(), "OPENAI_API_KEY=", "AI_SDK_LOG_WARNINGS=false")
			want := "Paris"
			if strings.HasPrefix(s.name, "A page") { // it has no tools, and TestBrowser runs one in a browser
				want = "weather"
			}
			out, err := cmd.CombinedOutput()
			if text := strings.ReplaceAll(string(out), "\n", ""); err != nil || !strings.Contains(text, want) {
				t.Errorf("it prints %s (%v), want %q", out, err, want)
			}
		})
	}
	if ran["python"] != 2 || ran["js"] != 5 || ran["go"] != 1 || ran["toml"] != 1 {
		t.Errorf("docs/clients.md has the snippets %v, want 2 of python, 5 of js, 1 of go and 1 of toml", ran)
	}
}

// command returns the code as a script, with the packages of its language.
func (s docSnippet) command(t *testing.T, code string) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	switch s.language {
	case "python":
		_, packages := pythonKit.install(t)
		return exec.CommandContext(t.Context(), filepath.Join(packages, "venv", "bin", "python"), "-B", write("snippet.py"))
	case "js":
		node, packages := nodeKit.install(t)
		if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		return exec.CommandContext(t.Context(), node, write("snippet.mjs"))
	}
	return exec.CommandContext(t.Context(), "go", "run", write("main.go")) // from here, because the module has openai-go
}

// TestCodexIsConfiguredAsTheDocsSay compares the configuration of the Codex
// scenarios with that in docs/clients.md.
func TestCodexIsConfiguredAsTheDocsSay(t *testing.T) {
	t.Parallel()
	shown := map[string]bool{}
	for _, s := range docSnippets(t) {
		if s.language == "toml" {
			for line := range strings.Lines(s.code) {
				shown[strings.TrimSpace(line)] = true
			}
		}
	}
	tested := fmt.Sprintf(codexConfig, "http://127.0.0.1:8080", true, 0)
	for line := range strings.Lines(tested) {
		line = strings.TrimSpace(line)
		if strings.Contains(line, "max_retries") || strings.Contains(line, "analytics") || line == "enabled = false" {
			continue // only for the tests
		}
		if line != "" && !shown[line] {
			t.Errorf("docs/clients.md does not show %q", line)
		}
	}
}
