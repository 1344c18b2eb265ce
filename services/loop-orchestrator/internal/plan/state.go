// Package plan holds the rules of the loop: what follows from what a model said. It calls nobody and keeps nothing.
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

// State is the request as it was before the turn.
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

// Left is what remains of the request's max_output_tokens; nil where there is no bound.
func (s State) Left() *int {
	if s.Request.MaxOutputTokens == nil {
		return nil
	}
	left := max(*s.Request.MaxOutputTokens-int(transcript.Usage(s.spokenTurns()).OutputTokens), 0)
	return &left
}

// Choice is what the model is told of tool_choice. A call that the request forces is forced once: forced in every turn, the loop
// could only end on a budget.
func (s State) Choice() tool.Choice {
	c := s.Tools.Choice
	if len(s.spokenTurns()) > 0 && (c.Tool != nil || c.Mode == "required") {
		return tool.Choice{Mode: "auto"}
	}
	return c
}

// spokenTurns are those in which the model was asked to go on, and not to compact the history.
func (s State) spokenTurns() []transcript.Turn {
	return slices.DeleteFunc(slices.Clone(s.Turns), transcript.Turn.Compacted)
}

// Base is how many items the output has before the turn.
func (s State) Base() int {
	n := 0
	for _, t := range s.Turns {
		n += len(t.Items)
	}
	return n
}
