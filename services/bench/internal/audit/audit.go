// Package audit compares the ledger of the scripted model and tools with the
// runs of a measurement.
package audit

import (
	"fmt"
	"strings"

	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/scenario"
	"windlass.dev/windlass/services/mock"
)

// maxViolations bounds the list; all violations are counted.
const maxViolations = 20

// Audit is the result of comparing the ledger with the runs.
type Audit struct {
	ModelCalls int `json:"model_calls"`
	ToolCalls  int `json:"tool_calls"`
	// CallsPerTool is the number of calls for each logical tool call: 1 if each
	// was made once, or if there are no tool calls.
	CallsPerTool float64  `json:"tool_calls_per_logical_call"`
	Failed       int      `json:"failed"`
	Violations   []string `json:"violations,omitempty"` // the first of them
}

// Violate adds a violation.
func (a *Audit) Violate(format string, args ...any) {
	if a.Failed++; len(a.Violations) < maxViolations {
		a.Violations = append(a.Violations, fmt.Sprintf(format, args...))
	}
}

// place identifies a step in the ledger.
type place struct {
	kind         string
	seed         int64
	round, index int
}

// Of compares the ledger with the runs: every run has the right answer, every
// step was called once and succeeded, and no two tool calls share a key. Calls
// of the plain loop are skipped.
func Of(s scenario.Scenario, runs []load.Run, entries []mock.Entry) Audit {
	a := Audit{CallsPerTool: 1}
	for _, r := range runs {
		if r.Err != nil {
			a.Violate("seed %d: %v", r.Seed, r.Err)
		}
	}
	calls, keys := map[place]int{}, map[string]place{}
	for _, e := range entries {
		if strings.HasPrefix(e.IdempotencyKey, client.DirectKey) {
			continue
		}
		at := place{e.Kind, e.Seed, e.Round, e.Index}
		calls[at]++
		if e.Status != 200 || e.Aborted {
			a.Violate("%v: status %d, aborted %t", at, e.Status, e.Aborted)
		}
		if e.Kind == "model" {
			a.ModelCalls++
			continue
		}
		a.ToolCalls++
		if e.IdempotencyKey == "" {
			a.Violate("%v: called without an idempotency key", at)
		} else if other, used := keys[e.IdempotencyKey]; used && other != at {
			a.Violate("%v: called under the key of %v", at, other)
		}
		keys[e.IdempotencyKey] = at
	}
	if logical := len(runs) * s.ToolCalls(); logical > 0 {
		a.CallsPerTool = float64(a.ToolCalls) / float64(logical)
	}
	a.compare(s, runs, calls)
	return a
}

// compare removes the runs' steps from calls: the rest belongs to no run.
func (a *Audit) compare(s scenario.Scenario, runs []load.Run, calls map[place]int) {
	once := func(at place) {
		if n := calls[at]; n != 1 {
			a.Violate("%v: called %d times, want once", at, n)
		}
		delete(calls, at)
	}
	for _, r := range runs {
		for round := range s.ModelCalls() {
			once(place{"model", r.Seed, round, 0})
		}
		for round := range s.Rounds {
			for index := range s.Width {
				once(place{"tool", r.Seed, round, index})
			}
		}
	}
	for at, n := range calls {
		a.Violate("%v: called %d times, want never", at, n)
	}
}
