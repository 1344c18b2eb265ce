package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Decode reads the body of POST /v1/responses. The error is always a 400, and
// names the first field at fault; nil means success. The result aliases body.
func Decode(body []byte) (*Create, *fault.Error) {
	v, err := check.Parse(body)
	if err != nil {
		return nil, err
	}
	if v.Kind() != raw.Object {
		err := check.WrongType(v, "an object").In("body").Fault()
		err.Param = "" // the body has no path
		return nil, err
	}
	c := &Create{Store: true, Generate: true}
	for key, m := range v.Members() {
		if !m.Given() {
			continue
		}
		read, known := fields[string(key)]
		if !known {
			c.keep(string(key), m)
			continue
		}
		if problem := read(c, m); problem != nil {
			return nil, problem.In(string(key)).Fault()
		}
	}
	if problem := c.fault(); problem != nil {
		return nil, problem.Fault()
	}
	return c, nil
}

func (c *Create) keep(key string, v raw.Value) {
	if c.Extra == nil {
		c.Extra = map[string]json.RawMessage{}
	}
	c.Extra[key] = json.RawMessage(v)
}

// fault checks what lies between fields.
func (c *Create) fault() *check.Problem {
	switch {
	case c.Model == "":
		return check.Absent("model")
	case c.Input == nil && c.PreviousResponseID == "" && c.Conversation == "" && c.Extra["prompt"] == nil:
		return check.Refuse("input", "missing_required_parameter",
			`One of "input" or "previous_response_id" or "prompt" or "conversation" must be provided.`)
	case c.Background && !c.Store:
		return check.Refuse("background", "unsupported_parameter",
			"Background responses are not supported when 'store' is false: background=true requires store=true.")
	case c.PreviousResponseID != "" && c.Conversation != "":
		return check.Refuse("previous_response_id", "mutually_exclusive_parameters",
			"Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Only one of them can be provided.")
	}
	return c.pairFault()
}

// pairFault refuses calls without output and outputs without call, which model
// servers choke on. What an output answers may lie in the history, and a
// reference may stand for either; both are known only later.
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
				return check.Refuse("input", "",
					"No tool call found for function call output with call_id "+check.Excerpt(it.CallID)+".")
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
			return check.Refuse("input", "", "No tool output found for function call "+check.Excerpt(it.CallID)+".")
		}
	}
	return nil
}
