package responses

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
)

// Answers checks the input against open, the ids of the function calls that
// the response it continues has left to the client: each must have its output,
// and every output its call. The error is a 400; nil means success. What an
// item_reference stands for is not known here, so an input with one passes.
func (c *Create) Answers(open []string) *fault.Error {
	own, answered := map[string]bool{}, map[string]bool{}
	for _, it := range c.Input {
		switch it.Type {
		case "item_reference":
			return nil
		case "function_call":
			own[it.CallID] = true
		case "function_call_output":
			if !own[it.CallID] && !slices.Contains(open, it.CallID) {
				return check.Refuse("input", "",
					"No tool call found for function call output with call_id "+check.Excerpt(it.CallID)+".").Fault()
			}
			answered[it.CallID] = true
		}
	}
	for _, id := range open {
		if !answered[id] {
			return check.Refuse("input", "", "No tool output found for function call "+check.Excerpt(id)+".").Fault()
		}
	}
	return nil
}
