package item

import (
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/run/itemid"
)

// IsID reports whether s can be the id of a stored item: up to 64 letters,
// digits, dashes and underscores.
func IsID(s string) bool { return s != "" && check.IDText(s, "") == nil }

// CheckIDs checks the ids of items that are stored, including the prefix of
// their type where OpenAI's API requires it. An item without an id gets one
// later; references are looked up later. For package responses.
func CheckIDs(items []Item) *check.Problem {
	for i, it := range items {
		prefix := ""
		switch it.Type {
		case "message", "function_call", "reasoning":
			prefix = itemid.Prefix(it.Type)
		case "item_reference":
			continue
		}
		if it.ID == "" {
			continue
		}
		if p := check.IDText(it.ID, prefix); p != nil {
			return p.In("id").At(i)
		}
	}
	return nil
}
