package mutants

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../../.."

// mutant is one change of the product's code that breaks a promise.
type mutant struct {
	area, name string
	file       string
	breaks     string   // the promise
	tests      []string // packages whose tests must notice
	old, new   string
	survives   string // why nothing notices; empty for all others
}

func (m mutant) String() string { return m.area + "/" + m.name }

// readMutants reads all files of testdata.
func readMutants(tb testing.TB) []mutant {
	tb.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		tb.Fatalf("testdata has %d files, %v", len(files), err)
	}
	var all []mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		area := strings.TrimSuffix(filepath.Base(file), ".txt")
		found, err := parse(area, string(text))
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		all = append(all, found...)
	}
	return all
}

func parse(area, text string) (all []mutant, err error) {
	for n, line := range strings.Split(text, "\n") {
		key, value, _ := strings.Cut(line, " ")
		value = strings.TrimSpace(value)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if key == "mutant" {
			all = append(all, mutant{area: area, name: value})
			continue
		}
		if len(all) == 0 {
			return nil, fmt.Errorf("line %d comes before the first mutant", n+1)
		}
		m := &all[len(all)-1]
		switch {
		case line[0] == '-':
			m.old += strings.TrimPrefix(line[1:], " ") + "\n"
		case line[0] == '+':
			m.new += strings.TrimPrefix(line[1:], " ") + "\n"
		case key == "file":
			m.file = value
		case key == "breaks":
			m.breaks = value
		case key == "tests":
			m.tests = strings.Fields(value)
		case key == "survives":
			m.survives = value
		default:
			return nil, fmt.Errorf("line %d is not understood: %q", n+1, line)
		}
	}
	for i := range all {
		all[i].old, all[i].new = strings.TrimSpace(all[i].old), strings.TrimSpace(all[i].new)
	}
	return all, nil
}

// apply returns the mutated file.
func (m mutant) apply() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return nil, fmt.Errorf("%s has the old text of %s %d times, want once: adapt the mutant to the code", m.file, m, n)
	}
	return []byte(strings.Replace(string(text), m.old, m.new, 1)), nil
}

// TestData holds that each mutant is complete and applies to the code as it is.
func TestData(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, m := range readMutants(t) {
		if names[m.String()] {
			t.Errorf("%s exists twice", m)
		}
		names[m.String()] = true
		if m.breaks == "" || len(m.tests) == 0 || m.old == "" || m.old == m.new {
			t.Errorf("%s is not complete: %+v", m, m)
			continue
		}
		if _, err := m.apply(); err != nil {
			t.Error(err)
		}
		for _, dir := range m.tests {
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(dir, "/..."))); err != nil {
				t.Errorf("%s: %v", m, err)
			}
		}
	}
	if len(names) < 100 {
		t.Errorf("%d mutants, want at least 100", len(names))
	}
}
