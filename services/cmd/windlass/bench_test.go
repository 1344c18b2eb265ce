package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/services/internal/bench"
)

func TestBenchLeavesAReportAndNothingElse(t *testing.T) {
	t.Parallel()
	// Postgres has to get at its data, when a test is run by root, too; a test's own directory is closed to it.
	dir, err := os.MkdirTemp("", "windlass-bench-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b3, err := bench.ParseScenario("B3")
	if err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err = bench.Run(ctx, bench.Config{
		Scenarios: []bench.Scenario{b3}, Concurrency: []int{2}, Runs: 4, Time: time.Minute, JSON: report, Dir: dir,
		Quiet: 100 * time.Millisecond,
		Self:  []string{os.Args[0], "bench-part"},
	}, &out)
	if err != nil {
		t.Fatalf("Run = %v\n%s", err, out.String())
	}
	for _, want := range []string{"fsync=on", "synchronous_commit=on", "full_page_writes=on", "1.000"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, out.String())
		}
	}
	text, err := os.ReadFile(report)
	if err != nil || !bytes.Contains(text, []byte(`"runs": 4,`)) {
		t.Errorf("the JSON report is %s, %v, want 4 runs in it", text, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the benchmark left %v, %v, want nothing", left, err)
	}
}
