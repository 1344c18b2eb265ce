//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/mock"
)

// clockEnv shifts the wall clock of a program that buildSkewed has built.
const clockEnv = "WINDLASS_TEST_CLOCK"

// skewedNow replaces the head of time.Now. It shifts the wall clock and leaves
// the monotonic clock alone, as a wrong setting of the machine's clock does.
// The program is otherwise the one that is shipped.
const skewedNow = `
var clockSkew = func() int64 {
	text, _ := syscall.Getenv("` + clockEnv + `")
	d, _ := ParseDuration(text)
	return int64(d / Second)
}()

func Now() Time {
	t := trueNow()
	if t.wall&hasMonotonic != 0 {
		t.wall += uint64(clockSkew) << nsecShift
	} else {
		t.ext += clockSkew
	}
	return t
}

func trueNow() Time {`

// buildSkewed builds the services with a clock that clockEnv shifts, and
// returns their directory.
func buildSkewed(t *testing.T) string {
	t.Helper()
	source := filepath.Join(runtime.GOROOT(), "src", "time", "time.go")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	const head, imports = "\nfunc Now() Time {", "import (\n"
	if strings.Count(string(text), head) != 1 || strings.Count(string(text), imports) != 1 {
		t.Fatalf("%s is not as expected", source)
	}
	patched := strings.Replace(string(text), head, skewedNow, 1)
	patched = strings.Replace(patched, imports, imports+"\t\"syscall\"\n", 1)
	dir := t.TempDir()
	file := filepath.Join(dir, "time.go")
	if err := os.WriteFile(file, []byte(patched), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: file}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	args := []string{"build", "-overlay", list, "-o", dir + "/"}
	for _, name := range services {
		args = append(args, "windlass.dev/windlass/services/cmd/"+name)
	}
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build the services: %v\n%s", err, out)
	}
	return dir
}

// TestF21WrongClocks gives each service in turn a clock that is 65 minutes
// ahead and one that is as much behind, always with another service that is
// wrong the other way. All runs are right, and a request that never ends
// expires at its deadline, not before and not much later.
func TestF21WrongClocks(t *testing.T) {
	t.Parallel()
	skewed := buildSkewed(t)
	alone(t)
	const (
		deadline = 15 * time.Second
		late     = 10 * time.Second // for the expiry to be noticed
		runs     = 8
	)
	w := newWorld(t)
	registry := filepath.Join(w.dir, "registry.yaml")
	text, err := os.ReadFile(registry)
	if err == nil {
		err = os.WriteFile(registry, append(text, "limits: {deadline: "+deadline.String()+"}\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range services {
		w.services[name].path = filepath.Join(skewed, name)
	}
	l := newLoad(w)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go l.poll(ctx)
	for i, ahead := range services {
		behind := services[(i+2)%len(services)]
		for _, name := range services {
			w.services[name].kill(t)
		}
		for _, name := range services {
			clock := map[string]string{ahead: "65m", behind: "-65m"}[name]
			w.services[name].start(t, env(clockEnv, clock))
		}
		for _, name := range services {
			w.services[name].awaitReady(t)
		}
		began := time.Now()
		hang, err := w.api.submit(t.Context(), mock.Plan{Seed: 1e6 + int64(i), ModelFaults: []mock.Fault{{Mode: "hang"}}})
		if err != nil {
			t.Fatal(err)
		}
		for n := range runs {
			l.streamed = n%2 == 0
			if _, err := l.submit(t.Context(), mock.Plan{Rounds: 2, Width: 2, ThinkMS: 50, ToolMS: 50}); err != nil {
				t.Fatal(err)
			}
		}
		l.settle(t, 20*time.Second)
		var o Object
		await(t, deadline+late, "the expiry", func() bool {
			o, err = w.api.object(t.Context(), hang)
			return err == nil && o.Terminal()
		})
		if took := time.Since(began); o.Status != "failed" || took < deadline-time.Second {
			t.Errorf("%s ahead, %s behind: a hanging request is %s after %s, want failed after %s",
				ahead, behind, o.Status, took, deadline)
		}
	}
	for _, calls := range l.check(t) {
		if n := Repeats("tool", calls); n > 0 {
			t.Errorf("run %d repeated %d tool calls", calls[0].Seed, n)
		}
	}
}
