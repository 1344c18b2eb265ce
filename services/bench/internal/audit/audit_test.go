package audit

import (
	"errors"
	"strings"
	"testing"

	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/scenario"
	"windlass.dev/windlass/services/mock"
)

// ledgerOf returns the ledger of perfect runs.
func ledgerOf(s scenario.Scenario, seeds ...int64) []mock.Entry {
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
	s := scenario.Scenario{Rounds: 1, Width: 2}
	runs := []load.Run{{Seed: 1}, {Seed: 2}}
	tests := []struct {
		name   string
		runs   []load.Run
		change func(entries []mock.Entry) []mock.Entry
		want   string // part of the only violation; "" if there must be no violation
		calls  float64
	}{
		{"perfect", runs, nil, "", 1},
		{"the plain loop's calls do not count", runs, func(e []mock.Entry) []mock.Entry {
			return append(e, mock.Entry{Kind: "tool", Seed: 1, IdempotencyKey: client.DirectKey + "1", Status: 200})
		}, "", 1},
		{"tool called twice", runs, func(e []mock.Entry) []mock.Entry { return append(e, e[2]) }, "{tool 1 0 0}: called 2 times, want once", 1.25},
		{"model called twice", runs, func(e []mock.Entry) []mock.Entry { return append(e, e[0]) }, "{model 1 0 0}: called 2 times", 1},
		{"tool never called", runs, func(e []mock.Entry) []mock.Entry { return e[:len(e)-1] }, "{tool 2 0 1}: called 0 times", 0.75},
		{"no key", runs, func(e []mock.Entry) []mock.Entry { e[2].IdempotencyKey = ""; return e }, "without an idempotency key", 1},
		{"shared key", runs, func(e []mock.Entry) []mock.Entry { e[3].IdempotencyKey = e[2].IdempotencyKey; return e }, "under the key of {tool 1 0 0}", 1},
		{"failed call", runs, func(e []mock.Entry) []mock.Entry { e[1].Status = 500; return e }, "{model 1 1 0}: status 500", 1},
		{"broken off call", runs, func(e []mock.Entry) []mock.Entry { e[1].Aborted = true; return e }, "aborted true", 1},
		{"stranger", runs, func(e []mock.Entry) []mock.Entry { return append(e, mock.Entry{Kind: "model", Seed: 9, Status: 200}) }, "{model 9 0 0}: called 1 times, want never", 1},
		{"failed run", []load.Run{{Seed: 1}, {Seed: 2, Err: errors.New("wrong answer")}}, nil, "seed 2: wrong answer", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			entries := ledgerOf(s, 1, 2)
			if tt.change != nil {
				entries = tt.change(entries)
			}
			got := Of(s, tt.runs, entries)
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
	s := scenario.Scenario{Rounds: 3, Width: 50}
	got := Of(s, []load.Run{{Seed: 1}}, nil)
	if got.Failed != s.Steps() || len(got.Violations) != maxViolations {
		t.Errorf("%d violations, %d of them listed, want %d and %d", got.Failed, len(got.Violations), s.Steps(), maxViolations)
	}
}
