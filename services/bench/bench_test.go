package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/mock"
)

// ledgerOf is what the ledger must hold after perfect runs.
func ledgerOf(s Scenario, seeds ...int64) []mock.Entry {
	var entries []mock.Entry
	for _, seed := range seeds {
		for round := range s.ModelCalls() {
			entries = append(entries, mock.Entry{Kind: "model", Seed: seed, Round: round, Status: 200})
		}
		for round := range s.Rounds {
			for index := range s.Width {
				key := strings.Join([]string{"k", string(rune('a' + seed)), string(rune('a' + round)), string(rune('a' + index))}, "-")
				entries = append(entries, mock.Entry{Kind: "tool", Seed: seed, Round: round, Index: index, Status: 200, IdempotencyKey: key})
			}
		}
	}
	return entries
}

func TestAudit(t *testing.T) {
	t.Parallel()
	s := Scenario{Rounds: 1, Width: 2}
	runs := []run{{seed: 1}, {seed: 2}}
	tests := []struct {
		name   string
		runs   []run
		change func(entries []mock.Entry) []mock.Entry
		want   string // part of the only violation; empty: none
		calls  float64
	}{
		{"perfect", runs, nil, "", 1},
		{"the plain loop's calls do not count", runs, func(e []mock.Entry) []mock.Entry {
			return append(e, mock.Entry{Kind: "tool", Seed: 1, IdempotencyKey: directKey + "1", Status: 200})
		}, "", 1},
		{"tool called twice", runs, func(e []mock.Entry) []mock.Entry { return append(e, e[2]) }, "{tool 1 0 0}: called 2 times, want once", 1.25},
		{"model called twice", runs, func(e []mock.Entry) []mock.Entry { return append(e, e[0]) }, "{model 1 0 0}: called 2 times", 1},
		{"tool never called", runs, func(e []mock.Entry) []mock.Entry { return e[:len(e)-1] }, "{tool 2 0 1}: called 0 times", 0.75},
		{"no key", runs, func(e []mock.Entry) []mock.Entry { e[2].IdempotencyKey = ""; return e }, "without an idempotency key", 1},
		{"shared key", runs, func(e []mock.Entry) []mock.Entry { e[3].IdempotencyKey = e[2].IdempotencyKey; return e }, "under the key of {tool 1 0 0}", 1},
		{"failed call", runs, func(e []mock.Entry) []mock.Entry { e[1].Status = 500; return e }, "{model 1 1 0}: status 500", 1},
		{"broken off call", runs, func(e []mock.Entry) []mock.Entry { e[1].Aborted = true; return e }, "aborted true", 1},
		{"stranger", runs, func(e []mock.Entry) []mock.Entry { return append(e, mock.Entry{Kind: "model", Seed: 9, Status: 200}) }, "{model 9 0 0}: called 1 times, want never", 1},
		{"failed run", []run{{seed: 1}, {seed: 2, err: errors.New("wrong answer")}}, nil, "seed 2: wrong answer", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries := ledgerOf(s, 1, 2)
			if tt.change != nil {
				entries = tt.change(entries)
			}
			got := audit(s, tt.runs, entries)
			if got.CallsPerTool != tt.calls {
				t.Errorf("calls for each tool call = %g, want %g", got.CallsPerTool, tt.calls)
			}
			if tt.want == "" {
				if got.Failed != 0 {
					t.Errorf("violations = %q, want none", got.Violations)
				}
				return
			}
			if got.Failed != 1 || !strings.Contains(got.Violations[0], tt.want) {
				t.Errorf("%d violations, %q, want one with %q", got.Failed, got.Violations, tt.want)
			}
		})
	}
}

func TestAuditListsAFew(t *testing.T) {
	t.Parallel()
	s := Scenario{Rounds: 3, Width: 50}
	got := audit(s, []run{{seed: 1}}, nil)
	if got.Failed != s.Steps() || len(got.Violations) != maxViolations {
		t.Errorf("%d violations, %d of them listed, want %d and %d", got.Failed, len(got.Violations), s.Steps(), maxViolations)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	l := Limits{Commits: 1, Statements: 2, Messages: 3}
	at := PerStep{Commits: 1, Statements: 2, Messages: 3, StatementsKnown: true}
	if got := l.Check(at, Audit{CallsPerTool: 1}); got != nil {
		t.Errorf("Check at the limits = %q, want none", got)
	}
	over := PerStep{Commits: 1.1, Statements: 2.1, Messages: 3.1}
	if got := l.Check(over, Audit{CallsPerTool: 1.001, Violations: []string{"one"}}); len(got) != 6 {
		t.Errorf("Check over all limits = %q, want 6 faults", got)
	}
}

func TestDriveStops(t *testing.T) {
	t.Parallel()
	fine := func(context.Context, int64) error { return nil }
	far := time.Now().Add(time.Hour)
	var flying, most atomic.Int64
	tests := []struct {
		name  string
		ended bool // its context
		load  load
		do    func(context.Context, int64) error
		want  int
	}{
		{"after its runs", false, load{workers: 4, first: 10, most: 25, until: far}, func(context.Context, int64) error {
			defer flying.Add(-1)
			if n := flying.Add(1); n > most.Load() {
				most.Store(n)
			}
			return nil
		}, 25},
		{"at its time", false, load{workers: 4, first: 10, most: 25, until: time.Now()}, fine, 0},
		{"when its context has ended", true, load{workers: 4, first: 10, most: 25, until: far}, fine, 0},
		{"when all fails", false, load{workers: 1, first: 10, most: 1000, until: far}, func(context.Context, int64) error {
			return errors.New("refused")
		}, maxFailures},
	}
	for _, tt := range tests {
		ctx, cancel := context.WithCancel(t.Context())
		if tt.ended {
			cancel()
		}
		runs, _ := tt.load.drive(ctx, tt.do)
		cancel()
		if len(runs) != tt.want {
			t.Errorf("%s: %d runs, want %d", tt.name, len(runs), tt.want)
		}
		for i, r := range runs {
			if r.seed != tt.load.first+int64(i) {
				t.Errorf("%s: run %d has seed %d, want no gaps from %d on", tt.name, i, r.seed, tt.load.first)
			}
		}
	}
	if most.Load() > 4 {
		t.Errorf("%d runs at the same time, want at most 4", most.Load())
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := make([]time.Duration, 0, 100)
	for i := 100; i > 0; i-- {
		values = append(values, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(values, q); got != want {
			t.Errorf("quantile(%g) = %d, want %d", q, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing = %d, want 0", got)
	}
}

func TestAddedIsPairedBySeed(t *testing.T) {
	t.Parallel()
	got := added([]run{{seed: 1, took: 10}, {seed: 2, took: 20}, {seed: 3, took: 30}}, []run{{seed: 2, took: 5}, {seed: 1, took: 4}})
	if diff := cmp.Diff([]time.Duration{6, 15}, got); diff != "" {
		t.Errorf("added differs (-want +got):\n%s", diff)
	}
}

func TestParseProcess(t *testing.T) {
	t.Parallel()
	line := "42 (a ) odd (name) S 7 42 42 0 -1 4194304 100 200 0 0 11 12 13 14 20 0 1 0 5"
	got, err := parseProcess(42, line)
	want := proc{pid: 42, parent: 7, own: 23 * tick, reaped: 27 * tick}
	if err != nil || got != want {
		t.Errorf("parseProcess = %+v, %v, want %+v", got, err, want)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 7", "42 (x) S 7 42 42 0 -1 4194304 100 200 0 0 eleven 12 13 14 20"} {
		if got, err := parseProcess(42, bad); err == nil {
			t.Errorf("parseProcess(%q) = %+v, want an error", bad, got)
		}
	}
}

func TestProcessesOfThisMachine(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("this system has no /proc")
	}
	self := processes{loadGroup: os.Getpid(), mockGroup: -1}
	if held := self.memory()[loadGroup]; held < 1<<20 {
		t.Errorf("this process holds %d bytes, want some MB", held)
	}
	used := self.cpu()
	if _, known := used[mockGroup]; known || len(used) != 1 {
		t.Errorf("processor times = %v, want those of this process only", used)
	}
}

func TestFlushes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	took, err := flushes(t.Context(), dir)
	if err != nil || len(took) == 0 {
		t.Fatalf("flushes = %d samples, %v, want some", len(took), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("flushes left %v, %v, want nothing", left, err)
	}
}

func TestReportWithoutScore(t *testing.T) {
	t.Parallel()
	good := Cell{Scenario: "B1", Concurrency: 1, Windlass: Speed{Runs: 10, RunsPerS: 123.4}, Audit: Audit{CallsPerTool: 1}}
	bad := Cell{Scenario: "B3", Concurrency: 16, Windlass: Speed{Runs: 10, RunsPerS: 567.8}}
	bad.Audit.violate("tool called twice")
	var out bytes.Buffer
	(&Report{Cells: []Cell{good, bad}}).print(&out)
	for _, want := range []string{"123.4", "B3 with 16 in flight has NO SCORE: 1 violations in 10 runs", "tool called twice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "567.8") {
		t.Errorf("the report has a figure of a cell without a score:\n%s", out.String())
	}
}

func TestConfigFaults(t *testing.T) {
	t.Parallel()
	fine := Config{Scenarios: scenarios, Concurrency: []int{1, 16}, Time: time.Second}
	if err := fine.Validate(); err != nil {
		t.Errorf("Validate = %v, want nil", err)
	}
	err := (&Config{Concurrency: []int{0}, Runs: -1, Think: time.Hour, Dialect: "soap"}).Validate()
	for _, want := range []string{"scenario", "concurrency", "runs", "time is", "think", "dialect"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v, want a fault about %q", err, want)
		}
	}
	if _, err := ParseScenario("B9"); err == nil {
		t.Error("ParseScenario(B9) = nil error, want one")
	}
}
