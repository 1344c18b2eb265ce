package transcript

import (
	"fmt"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/toolset"
)

// Output returns the items of the turns. Calls that ran here are shown as
// hosted ones, in their places.
func Output(turns []Turn) []item.Item {
	var all []item.Item
	for _, t := range turns {
		for _, it := range t.Items {
			if step, ran := t.ran(it); ran {
				it = hosted(it, step)
			}
			all = append(all, it)
		}
	}
	return all
}

// ran returns the step of a call that ran here.
func (t Turn) ran(it item.Item) (run.Step, bool) {
	step, ok := t.Tools[it.CallID]
	return step, ok && it.Type == "function_call"
}

func hosted(it item.Item, s run.Step) item.Item {
	call := item.Call{
		ID: itemid.Retype(it.ID, "function_call", "mcp_call"), Status: "completed", ServerLabel: toolset.ServerLabel,
		Name: it.Name, Arguments: it.Arguments(),
	}
	switch {
	case it.Status == "incomplete":
		call.Status = "incomplete"
	case s.State == run.StepFailed:
		call.Status, call.Error = "failed", run.ReadFailure(s.Error).Message
	default:
		text := string(s.Output)
		call.Output = &text
	}
	return call.MCP()
}

// Keyed is an event that may be written more than once; readers take the first
// of each key.
type Keyed struct {
	Key   string
	Event event.Event
}

// Progress returns the event that ends a hosted call, given the place of its
// item.
func Progress(request uuid.UUID, turn, place int, failed bool) Keyed {
	at := event.Place{ItemID: itemid.Output("mcp_call", request, turn, place), Output: place}
	return Keyed{fmt.Sprintf("ran-%d", place), event.Progress(at, failed)}
}

// Ran returns the events that close the hosted calls of the last turn, once all
// of them have run.
func Ran(turns []Turn) []Keyed {
	if len(turns) == 0 {
		return nil
	}
	place := 0
	for _, t := range turns[:len(turns)-1] {
		place += len(t.Items)
	}
	var all []Keyed
	last := turns[len(turns)-1]
	for i, it := range last.Items {
		step, ran := last.ran(it)
		if !ran || step.State == run.StepDispatched { // a request that was cancelled ends with open calls
			continue
		}
		it = hosted(it, step)
		at := event.Place{ItemID: it.ID, Output: place + i}
		all = append(all,
			Keyed{fmt.Sprintf("ran-%d", at.Output), event.Progress(at, it.Status != "completed")},
			Keyed{fmt.Sprintf("done-%d", at.Output), at.Finished(it)})
	}
	return all
}
