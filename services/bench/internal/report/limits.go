package report

import (
	"fmt"

	"windlass.dev/windlass/services/bench/internal/audit"
)

// Limits bound the cost of a step. They are counts, so that they apply on any
// machine.
type Limits struct {
	Commits, Statements, Messages float64
}

// Check returns what exceeds the limits, and what must not happen on any
// machine.
func (l Limits) Check(p PerStep, a audit.Audit) []string {
	var over []string
	for _, count := range []struct {
		name      string
		got, most float64
	}{
		{"commits", p.Commits, l.Commits},
		{"statements", p.Statements, l.Statements},
		{"NATS messages", p.Messages, l.Messages},
	} {
		if count.got > count.most {
			over = append(over, fmt.Sprintf("%.3f %s a step, want at most %g", count.got, count.name, count.most))
		}
	}
	if !p.StatementsKnown {
		over = append(over, "the server does not count statements")
	}
	if a.CallsPerTool != 1 {
		over = append(over, fmt.Sprintf("%.3f calls for each tool call, want 1", a.CallsPerTool))
	}
	return append(over, a.Violations...)
}
