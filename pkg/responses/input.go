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
	size := len(v)
	for _, it := range items {
		size += len(it.JSON()) + 1
	}
	b := append(make([]byte, 0, size+len(`,"input":[]}`)), '{')
	for key, m := range v.Members() {
		if string(key) != "input" {
			b = append(raw.AppendText(b, string(key)), ':')
			b = append(append(b, m...), ',')
		}
	}
	b = append(b, `"input":[`...)
	for i, it := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, it.JSON()...)
	}
	return append(b, "]}"...), nil
}

// Duplicate is a 400 for an input item whose id a conversation holds already.
func Duplicate(id string) *fault.Error { return check.Refuse("input", "", duplicate(id)).Fault() }

func duplicate(id string) string {
	return "Duplicate item found with id " + check.Excerpt(id) + ". Remove duplicate items from your input and try again."
}
