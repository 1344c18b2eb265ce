package benchmark_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/localpg/pgbouncer"
	"windlass.dev/windlass/services/bench"
)

func TestBenchLeavesAReportAndNothingElse(t *testing.T) {
	t.Parallel()
	// Postgres cannot enter t.TempDir() if root runs the test.
	dir, err := os.MkdirTemp("", "windlass-bench-test-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err = bench.Run(ctx, bench.Config{
		Scenarios: []string{"B3"}, Concurrency: []int{2}, Runs: 4, Time: time.Minute, JSON: report, Dir: dir,
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

// TestScenariosBehindPgBouncer runs all scenarios behind a PgBouncer in
// transaction mode with its default settings.
func TestScenariosBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if _, err := pgbouncer.Find(); err != nil {
		t.Skipf("NOT TESTED behind a connection pooler: %v", err)
	}
	dir, err := os.MkdirTemp("", "wl-bench-pooled-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := bench.Config{
		Scenarios:   []string{"B1", "B2", "B3"},
		Concurrency: []int{4}, Runs: 8, Time: time.Minute, Dir: dir, Quiet: 100 * time.Millisecond, PgBouncer: true,
		Self: []string{os.Args[0], "bench-part"},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	var out bytes.Buffer
	if err := bench.Run(ctx, cfg, &out); err != nil { // fails without a score
		t.Fatalf("Run = %v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "set_config") {
		t.Errorf("no statement brought its settings; the test means to go through the pooler:\n%s", out.String())
	}
}
