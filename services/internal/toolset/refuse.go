package toolset

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/tool"
)

// Validate returns the first *Refusal of a request's tools, or nil. Call it
// when a request is accepted; Resolve, which it includes, has fewer rules, so
// that accepted requests stay readable.
func Validate(r *responses.Create, reg *registry.Registry) error {
	s, err := Resolve(r, reg)
	if err != nil {
		return err
	}
	for i, t := range r.Tools {
		if t.Type == "mcp" {
			if refusal := refuseServer(i, t); refusal != nil {
				return refusal
			}
		}
	}
	if refusal := s.refuseChoice(); refusal != nil {
		return refusal
	}
	return nil
}

// refuseServer refuses settings of the registered tools' server that would have
// no effect.
func refuseServer(i int, t tool.Tool) *Refusal {
	var entry struct {
		Approval      json.RawMessage            `json:"require_approval"`
		Authorization json.RawMessage            `json:"authorization"`
		Headers       map[string]json.RawMessage `json:"headers"`
	}
	refuse := func(field, message string) *Refusal {
		return &Refusal{Param: fmt.Sprintf("tools[%d].%s", i, field), Code: "unsupported_value", Message: message}
	}
	switch err := json.Unmarshal(t.JSON(), &entry); {
	case err != nil:
		return &Refusal{
			Param: fmt.Sprintf("tools[%d].headers", i), Code: "invalid_type",
			Message: "It is not an object of strings.",
		}
	case len(entry.Approval) > 0 && string(entry.Approval) != "null" && string(entry.Approval) != `"never"`:
		return refuse("require_approval", "Registered tools run without approval: leave it out or send 'never'.")
	case len(entry.Authorization) > 0 && string(entry.Authorization) != "null":
		return refuse("authorization", "Registered tools have credentials of their own: leave it out.")
	case len(entry.Headers) > 0:
		return refuse("headers", "Registered tools get no headers from requests: leave them out.")
	}
	return nil
}

// refuseChoice refuses a tool_choice that requires an impossible call.
func (s Toolset) refuseChoice() *Refusal {
	refuse := func(format string, args ...any) *Refusal {
		return &Refusal{Param: "tool_choice", Code: "unsupported_value", Message: fmt.Sprintf(format, args...)}
	}
	pick := s.Choice.Tool
	switch {
	case pick == nil && s.Choice.Mode == "required" && len(s.Offers) == 0:
		return refuse(
			"Tool choice 'required' is not possible: no tool of the request is one that this model can be given.",
		)
	case pick == nil:
		return nil
	case pick.Type == "mcp" && pick.Name != "":
		if _, ok := s.server[pick.Name]; ok {
			return nil
		}
		return &Refusal{
			Param:   "tool_choice",
			Message: fmt.Sprintf("Tool choice '%.64s' not found in 'tools' parameter.", pick.Name),
		}
	case pick.Type == "mcp" && len(s.Offers) > 0,
		pick.Type == tool.Function && s.client[called{name: pick.Name}],
		pick.Type == customTool && s.custom[called{name: pick.Name}]:
		return nil
	}
	return refuse("Tool choice '%.64s' is not possible: it is no tool that this model can be given.", pick.Type)
}
