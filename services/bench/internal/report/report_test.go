package report

import (
	"bytes"
	"strings"
	"testing"

	"windlass.dev/windlass/services/bench/internal/audit"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	l := Limits{Commits: 1, Statements: 2, Messages: 3}
	at := PerStep{Commits: 1, Statements: 2, Messages: 3, StatementsKnown: true}
	if got := l.Check(at, audit.Audit{CallsPerTool: 1}); got != nil {
		t.Errorf("Check at the limits = %q, want none", got)
	}
	over := PerStep{Commits: 1.1, Statements: 2.1, Messages: 3.1}
	if got := l.Check(over, audit.Audit{CallsPerTool: 1.001, Violations: []string{"one"}}); len(got) != 6 {
		t.Errorf("Check over all limits = %q, want 6 faults", got)
	}
}

func TestReportWithoutScore(t *testing.T) {
	t.Parallel()
	good := Cell{Scenario: "B1", Concurrency: 1, Windlass: Speed{Runs: 10, RunsPerS: 123.4}, Audit: audit.Audit{CallsPerTool: 1}}
	bad := Cell{Scenario: "B3", Concurrency: 16, Windlass: Speed{Runs: 10, RunsPerS: 567.8}}
	bad.Audit.Violate("tool called twice")
	var out bytes.Buffer
	(&Report{Cells: []Cell{good, bad}}).Print(&out)
	for _, want := range []string{"123.4", "B3 with 16 in flight has NO SCORE: 1 violations in 10 runs", "tool called twice"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "567.8") {
		t.Errorf("the report has a figure of a cell without a score:\n%s", out.String())
	}
}
