// Package scenario has the runs that the benchmark measures.
package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"windlass.dev/windlass/services/mock"
)

// Scenario is the shape of one run: rounds of parallel tool calls, and the
// model calls around them.
type Scenario struct {
	Name   string
	Rounds int // model turns that ask for tools
	Width  int // tool calls a round
}

var all = []Scenario{
	{Name: "B1"},
	{Name: "B2", Rounds: 1, Width: 1},
	{Name: "B3", Rounds: 3, Width: 5},
}

// Parse finds a scenario by its name, in either case.
func Parse(name string) (Scenario, error) {
	i := slices.IndexFunc(all, func(s Scenario) bool { return strings.EqualFold(s.Name, name) })
	if i < 0 {
		return Scenario{}, fmt.Errorf("find scenario %q: want B1, B2 or B3", name)
	}
	return all[i], nil
}

// ModelCalls is the number of model steps of one run.
func (s Scenario) ModelCalls() int { return s.Rounds + 1 }

// ToolCalls is the number of tool steps of one run.
func (s Scenario) ToolCalls() int { return s.Rounds * s.Width }

// Steps is the number of steps of one run.
func (s Scenario) Steps() int { return s.ModelCalls() + s.ToolCalls() }

// Plan returns the script of one run for the mock.
func (s Scenario) Plan(seed int64, think time.Duration) mock.Plan {
	return mock.Plan{Seed: seed, Rounds: s.Rounds, Width: s.Width, ThinkMS: int(think.Milliseconds())}
}
