package transcript

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

// Conversation reads the items of a conversation as the earlier responses that
// made them. The items of one turn stay together, so that parallel calls are
// not shown as if they were sequential; the ids tell the turns apart.
func Conversation(data [][]byte) ([]Ancestor, error) {
	var all []Ancestor
	last := "" // the turn of the item before
	for i, b := range data {
		it, fault := item.Parse(b)
		if fault != nil {
			return nil, fmt.Errorf("read item %d of a conversation: %w", i, fault)
		}
		turn, said := itemid.Turn(it.ID)
		if n := len(all); n == 0 || !said && len(all[n-1].Turns) > 0 {
			all = append(all, Ancestor{})
		}
		a := &all[len(all)-1]
		switch {
		case !said:
			a.Input = append(a.Input, it)
		case turn != last:
			a.Turns = append(a.Turns, Turn{Tools: make(map[string]run.Step)})
			fallthrough
		default:
			a.Turns[len(a.Turns)-1].add(it)
		}
		last = turn
	}
	return all, nil
}

// add adds an item to the turn that made it: a hosted call becomes the call and
// its step. The call id of the model is lost; the one here follows from the
// item's id.
func (t *Turn) add(it item.Item) {
	if it.Type != "mcp_call" {
		t.Items = append(t.Items, it)
		return
	}
	call := item.Call{
		ID: it.ID, Status: "completed", CallID: CallID(it.ID), Name: it.Name, Arguments: it.Arguments(),
	}
	step := run.Step{Kind: "tool", Name: it.Name, CallID: call.CallID, State: run.StepDone}
	text, ok := it.Output()
	if step.Output = []byte(text); !ok {
		step.State, step.Output = run.StepFailed, []byte(it.Error())
	}
	t.Items = append(t.Items, call.Function())
	t.Tools[call.CallID] = step
}

// CallID returns the call id of a hosted call of which only the item is known.
// OpenAI's chat completions take 40 characters; the item's id is longer.
func CallID(itemID string) string {
	sum := sha256.Sum256([]byte(itemID))
	return string(run.ToolCallPrefix) + hex.EncodeToString(sum[:12])
}

// ConversationItems returns the items in the form in which a conversation keeps
// them. Each item needs an id.
func ConversationItems(items []item.Item) []run.NewItem {
	all := make([]run.NewItem, len(items))
	for i, it := range items {
		all[i] = run.NewItem{ID: it.ID, Data: it.JSON()}
		switch it.Type {
		case "function_call":
			all[i].Calls = []byte(it.CallID)
		case "function_call_output":
			all[i].Answers = []byte(it.CallID)
		}
	}
	return all
}
