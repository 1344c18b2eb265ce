// Package plan holds the rules of the loop: which events, items, steps and
// outcome follow from a model's answer. It does no I/O and keeps no state
// between turns.
//
// It promises that every call of a registered tool gets a step, and an error
// that the model sees if the call is refused (TestNextDecides), and that the
// ids of calls are unique in a request's history (TestCallIDsAreUnique).
package plan

import (
	"slices"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
	"windlass.dev/windlass/services/internal/toolset"
	"windlass.dev/windlass/services/internal/transcript"
)

// State is the request before the turn.
type State struct {
	ID      uuid.UUID
	Turn    int
	Request *responses.Create
	Earlier []transcript.Ancestor // what the request continues
	Turns   []transcript.Turn
	Tools   toolset.Toolset
	Limits  registry.Limits
	Origin  string // of the upstream that answers this turn
}

// TokensLeft is what remains of the request's max_output_tokens, or nil if it
// has none.
func (s State) TokensLeft() *int {
	if s.Request.MaxOutputTokens == nil {
		return nil
	}
	left := max(*s.Request.MaxOutputTokens-int(transcript.Usage(s.answerTurns()).OutputTokens), 0)
	return &left
}

// Choice is the turn's tool_choice. A call that the request forces is forced in
// the first turn only, because otherwise the loop could only end on a budget.
func (s State) Choice() tool.Choice {
	c := s.Tools.Choice
	if len(s.answerTurns()) > 0 && (c.Tool != nil || c.Mode == "required") {
		return tool.Choice{Mode: "auto"}
	}
	return c
}

// answerTurns are the turns that did not compact the history.
func (s State) answerTurns() []transcript.Turn {
	return slices.DeleteFunc(slices.Clone(s.Turns), transcript.Turn.Compacted)
}

// Base counts the items of the output before the turn.
func (s State) Base() int {
	n := 0
	for _, t := range s.Turns {
		n += len(t.Items)
	}
	return n
}
