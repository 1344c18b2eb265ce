package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// WithInput is a body that Decode took, with other items as its input: what
// item_references in it stand for has taken their place. It shares nothing with
// body.
func WithInput(body []byte, items []item.Item) ([]byte, *fault.Error) {
	v, err := check.Parse(body)
	if err != nil {
		return nil, err
	}
	input := raw.Value{'['}
	for i, it := range items {
		if i > 0 {
			input = append(input, ',')
		}
		input = append(input, it.JSON()...)
	}
	return v.With("input", append(input, ']')), nil
}

// Duplicate is a 400 for an input item whose id a conversation holds already.
func Duplicate(id string) *fault.Error { return check.Refuse("input", "", duplicate(id)).Fault() }

func duplicate(id string) string {
	return "Duplicate item found with id " + check.Excerpt(id) + ". Remove duplicate items from your input and try again."
}

// WithAllowedTools is a request's body in which every MCP server of that label
// that is offered whole is offered with these tools only. The error is a 400,
// as Decode's.
func WithAllowedTools(body []byte, serverLabel string, names []string) ([]byte, *fault.Error) {
	v, err := check.Parse(body)
	if err != nil {
		return nil, err
	}
	if names == nil {
		names = []string{}
	}
	allowed, failed := json.Marshal(names)
	if failed != nil {
		return nil, fault.Internal()
	}
	tools := raw.Value{'['}
	changed := false
	for i, t := range v.Field("tools").Elements() {
		if i > 0 {
			tools = append(tools, ',')
		}
		server := t.Field("type").Text() == "mcp" && t.Field("server_label").Text() == serverLabel
		if server && !t.Field("allowed_tools").Present() {
			t, changed = t.With("allowed_tools", allowed), true
		}
		tools = append(tools, t...)
	}
	if !changed {
		return body, nil
	}
	return v.With("tools", append(tools, ']')), nil
}
