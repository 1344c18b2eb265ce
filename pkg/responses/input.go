package responses

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/item"
)

// WithInput returns a decoded body with other items as its input: the items
// that its item_references stand for. It shares nothing with body.
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

// Duplicate returns the 400 for an input item whose id a conversation already
// has.
func Duplicate(id string) *fault.Error { return check.Refuse("input", "", duplicate(id)).Fault() }

func duplicate(id string) string {
	return "Duplicate item found with id " + check.Excerpt(
		id,
	) + ". Remove duplicate items from your input and try again."
}

// WithAllowedTools returns a body in which every MCP server of that label that
// allows all its tools allows only the given ones. The error is a 400 as of
// Decode.
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
		if server && !t.Field("allowed_tools").IsSet() {
			t, changed = t.With("allowed_tools", allowed), true
		}
		tools = append(tools, t...)
	}
	if !changed {
		return body, nil
	}
	return v.With("tools", append(tools, ']')), nil
}
