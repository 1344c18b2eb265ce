package responses

import (
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
)

// pairFault refuses calls without output and outputs without call, on which
// model servers fail. The call of an output may be in the history, and a
// reference may stand for either; both are only known later.
func (c *Create) pairFault() *check.Problem {
	var calls map[string]bool // by call id: has an output
	pending, history := 0, c.PreviousResponseID != "" || c.Conversation != "" || c.Extra["prompt"] != nil
	for _, it := range c.Input {
		switch it.Type {
		case "item_reference":
			return nil
		case "function_call":
			if calls == nil {
				calls = map[string]bool{}
			}
			if answered, seen := calls[it.CallID]; !seen || answered {
				pending++
			}
			calls[it.CallID] = false
		case "function_call_output":
			answered, seen := calls[it.CallID]
			if !seen && !history {
				return noCall(it.CallID)
			}
			if seen && !answered {
				calls[it.CallID] = true
				pending--
			}
		}
	}
	if pending == 0 {
		return nil
	}
	for _, it := range c.Input {
		if answered, seen := calls[it.CallID]; seen && !answered && it.Type == "function_call" {
			return noOutput(it.CallID)
		}
	}
	return nil
}

// Link is the call id of a function_call or a function_call_output in a
// history.
type Link struct {
	CallID string
	Output bool
}

// Open returns the call ids of the calls in a history that no later output
// answers, in order. The error is a 400: an output has no call before it.
func Open(history []Link) ([]string, *fault.Error) {
	last := map[string]int{} // by call id: the place of its open call; negative once answered
	for i, l := range history {
		_, called := last[l.CallID]
		switch {
		case !l.Output:
			last[l.CallID] = i
		case !called:
			return nil, noCall(l.CallID).Fault()
		default:
			last[l.CallID] = -1
		}
	}
	var open []string
	for i, l := range history {
		if !l.Output && last[l.CallID] == i {
			open = append(open, l.CallID)
		}
	}
	return open, nil
}

// Answers checks the input against open, the ids of the client's calls that the
// history leaves unanswered: each must have its output, and every output its
// call. The error is a 400; nil means success. What an item_reference stands
// for is unknown here, so an input with one passes.
func (c *Create) Answers(open []string) *fault.Error {
	asked := make(map[string]bool, len(open)) // by call id: not answered yet
	for _, id := range open {
		asked[id] = true
	}
	for _, it := range c.Input {
		switch it.Type {
		case "item_reference":
			return nil
		case "function_call", "custom_tool_call":
			if _, known := asked[it.CallID]; !known {
				asked[it.CallID] = false // Decode or the upstream looks for its output
			}
		case "function_call_output", "custom_tool_call_output":
			if _, known := asked[it.CallID]; !known {
				return noCall(it.CallID).Fault()
			}
			asked[it.CallID] = false
		}
	}
	for _, id := range open {
		if asked[id] {
			return noOutput(id).Fault()
		}
	}
	return nil
}

func noCall(id string) *check.Problem {
	return check.Refuse("input", "", "No tool call found for function call output with call_id "+check.Excerpt(id)+".")
}

func noOutput(id string) *check.Problem {
	return check.Refuse("input", "", "No tool output found for function call "+check.Excerpt(id)+".")
}
