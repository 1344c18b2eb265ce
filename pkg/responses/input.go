package responses

import (
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
