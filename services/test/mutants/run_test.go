//go:build mutants

package mutants

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	limit = flag.Duration("limit", 8*time.Minute, "time of the tests of one mutant")
	score = flag.Float64("score", 0.9, "part of the mutants that must be caught")
)

// verdict is what the tests said of a mutant.
type verdict struct {
	caught bool
	by     string // the first test that failed
	broken string // why nothing was measured
}

var failure = regexp.MustCompile(`^\s*--- FAIL: (\S+)|^(panic: .*)|^(FAIL\s+\S+.*)|^(fatal error: .*)|^(leaks?: .*)`)

// run runs the tests of packages with an overlay and ends with the first that
// fails.
func run(ctx context.Context, overlay string, packages []string) verdict {
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	args := append([]string{"test", "-v", "-count=1", "-vet=off", "-failfast", "-timeout", limit.String()}, packages...)
	if overlay != "" {
		args = slices.Insert(args, 1, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = root
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	end := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.Cancel = end
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return verdict{broken: err.Error()}
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		return verdict{broken: err.Error()}
	}
	v := verdict{}
	var last []string
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		last = append(last, lines.Text())
		last = last[max(0, len(last)-20):]
		if strings.Contains(lines.Text(), "[build failed]") || strings.Contains(lines.Text(), "[setup failed]") {
			v.broken = strings.Join(last, "\n")
		}
		if found := failure.FindStringSubmatch(lines.Text()); found != nil && v.by == "" {
			v.caught, v.by = true, strings.TrimSpace(strings.Join(found[1:], ""))
			_ = end() // fails only when the process has ended
		}
	}
	err = cmd.Wait()
	switch {
	case v.broken != "":
		v.caught = false
	case v.caught:
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		v.caught, v.by = true, "the time limit"
	case err != nil:
		v.broken = strings.Join(last, "\n")
	}
	return v
}

// TestMutants runs every mutant and reports the score. A subtest fails if
// nothing notices its mutant, unless the data say why nothing can.
func TestMutants(t *testing.T) { //nolint:paralleltest // each uses all of the machine
	all := readMutants(t)
	green := map[string]bool{}
	caught, ran := 0, 0
	for _, m := range all {
		t.Run(m.String(), func(t *testing.T) {
			for _, p := range m.tests {
				if _, known := green[p]; !known {
					v := run(t.Context(), "", []string{p})
					if green[p] = !v.caught && v.broken == ""; !green[p] {
						t.Logf("without a mutant the tests of %s fail: %s%s", p, v.by, v.broken)
					}
				}
				if !green[p] {
					t.Fatalf("the tests of %s fail without a mutant: they catch nothing", p)
				}
			}
			began := time.Now()
			v := run(t.Context(), overlay(t, m), m.tests)
			took := time.Since(began).Round(time.Second)
			switch {
			case v.broken != "":
				t.Fatalf("nothing was measured:\n%s", v.broken)
			case v.caught && m.survives != "":
				t.Errorf("caught by %s, though the data say that it survives", v.by)
			case !v.caught && m.survives == "":
				t.Errorf("SURVIVED %s: %s (%s)", m, m.breaks, took)
			case !v.caught:
				t.Logf("survives %s: %s (%s)", m, m.survives, took)
			default:
				t.Logf("caught %s by %s (%s)", m, v.by, took)
			}
			ran++
			if v.caught {
				caught++
			}
		})
	}
	t.Logf("score: %d of %d mutants caught", caught, ran)
	if ran == 0 || float64(caught) < *score*float64(ran) {
		t.Errorf("the score is below %.2f", *score)
	}
}

// overlay writes the mutated file and the overlay that puts it in place.
func overlay(t *testing.T, m mutant) string {
	t.Helper()
	text, err := m.apply()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := filepath.Join(dir, "mutant.go")
	original, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "overlay.json")
	for name, data := range map[string][]byte{changed: text, at: list} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return at
}
