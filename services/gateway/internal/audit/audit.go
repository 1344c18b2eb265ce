// Package audit rebuilds what a model was shown at each of its calls.
//
// No request to an upstream is stored: a run of many turns would store its
// history once for each of them. What a turn was shown follows from what is
// stored anyway: the request, what it continues, and what the earlier turns
// said and got. It is shown as items of the Responses API, whatever the
// upstream's dialect is, without what the upstream attached to them for itself
// and without the definitions of tools.
package audit

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
)

// toolList is an item that tells clients which tools there are; models get
// definitions.
const toolList = "mcp_list_tools"

// Run is a response with everything that its models were shown.
type Run struct {
	Request *responses.Create
	Earlier []transcript.Ancestor
	Steps   []run.Step
	// Whole reports whether an item is a compaction that has taken the place of
	// everything before it.
	Whole func(item.Item) bool
}

// Input is what one model call was shown.
type Input struct {
	Items []item.Item
	// Omitted is the number of older items that were left out for their size.
	Omitted int
}

// Inputs returns what each model call was shown, in the order of the model
// steps, with at most so many bytes of items for each: the newest ones, and the
// instructions. It fails if a stored turn cannot be read.
func (r Run) Inputs(most int) ([]Input, error) {
	turns, err := transcript.Turns(run.Chain{Steps: r.Steps})
	if err != nil {
		return nil, fmt.Errorf("read the turns: %w", err)
	}
	h := history{whole: r.Whole}
	for _, a := range r.Earlier {
		h.add(a.Input)
		for _, t := range a.Turns {
			h.turn(t)
		}
	}
	h.add(r.Request.Input)
	var inputs []Input
	done := 0
	for _, s := range r.Steps {
		if s.Index != 0 {
			continue
		}
		inputs = append(inputs, h.cut(r.Request.Instructions, most))
		if s.State == run.StepDone && done < len(turns) {
			h.turn(turns[done])
			done++
		}
	}
	return inputs, nil
}

// history grows from turn to turn.
type history struct {
	items []item.Item
	whole func(item.Item) bool
}

func (h *history) add(items []item.Item) {
	for _, it := range items {
		switch {
		case it.Type == toolList, it.Type == compaction.Trigger:
			continue
		case it.Type == compaction.Item && h.whole(it):
			h.items = nil
		}
		h.items = append(h.items, it)
	}
}

// turn adds what the model said and then what the tools answered.
func (h *history) turn(t transcript.Turn) {
	h.add(t.Items)
	for _, it := range t.Items {
		step, ok := t.Tools[it.CallID]
		if ok && it.Type == "function_call" && step.Output != nil {
			h.items = append(h.items, built(functionOutput{"function_call_output", it.CallID, string(step.Output)}))
		}
	}
}

// cut is the newest part of the history that has at most so many bytes, behind
// the instructions if they leave room for it.
func (h *history) cut(instructions string, most int) Input {
	var in Input
	if instructions != "" {
		rule := built(message{"message", "system", []text{{"input_text", instructions}}})
		if size := len(rule.JSON()); size <= most/2 {
			in.Items = append(in.Items, rule)
			most -= size
		} else {
			in.Omitted++
		}
	}
	from := len(h.items)
	for from > 0 && len(h.items[from-1].JSON()) <= most {
		from--
		most -= len(h.items[from].JSON())
	}
	in.Omitted += from
	in.Items = append(in.Items, slices.Clone(h.items[from:])...)
	return in
}

// The items that are written here have no ids: clients do not know them.
type (
	functionOutput struct {
		Type   string `json:"type"`
		CallID string `json:"call_id"`
		Output string `json:"output"`
	}
	message struct {
		Type    string `json:"type"`
		Role    string `json:"role"`
		Content []text `json:"content"`
	}
	text struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
)

func built(v any) item.Item {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings always encode
	}
	it, f := item.Parse(b)
	if f != nil {
		panic(f) // it has what its type needs
	}
	return it
}
