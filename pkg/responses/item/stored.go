package item

import (
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

// Stored returns a client's item in the form that the API returns: with its
// type, an id (the client's own, or else id), a status if its type has one, and
// content as parts with all required fields. It keeps fields that the type does
// not know and drops nulls. Items of unknown types only get their type and id.
func (i Item) Stored(id string) Item {
	out := i
	out.ID = orElse(i.ID, id)
	known := true
	switch i.Type {
	case "message", "function_call", "function_call_output":
		if i.Status != "in_progress" && i.Status != "incomplete" {
			out.Status = "completed"
		}
	case "reasoning", "compaction":
	default:
		known = false
	}
	b := append(make([]byte, 0, len(i.raw)+96), `{"type":`...)
	b = raw.AppendText(b, i.Type)
	b = field(b, "id", out.ID)
	b = appendNonEmpty(b, "status", out.Status)
	for key, m := range i.raw.Members() {
		switch name := string(key); {
		case name == "type" || name == "id" || name == "status" && out.Status != "":
		case known && !m.IsSet():
		default:
			b = append(b, ',')
			b = raw.AppendText(b, name)
			b = append(b, ':')
			b = i.appendStored(b, name, m)
		}
	}
	out.raw = append(b, '}')
	return out
}

func (i Item) appendStored(b []byte, key string, m raw.Value) []byte {
	isMessage := key == "content" && i.Type == "message"
	switch {
	case isMessage && m.Kind() == raw.String:
		return appendParts(b, []Part{{Type: i.plainPart(), Text: m.Text()}})
	case m.Kind() != raw.Array:
	case isMessage, key == "output" && i.Type == "function_call_output":
		b = append(b, '[')
		for n, e := range m.Elements() {
			if n > 0 {
				b = append(b, ',')
			}
			b = appendStoredPart(b, e)
		}
		return append(b, ']')
	}
	return append(b, m...)
}

// appendStoredPart appends a part as it came, without nulls, and with what the
// API requires of its type.
func appendStoredPart(b []byte, v raw.Value) []byte {
	b = append(b, '{')
	start := len(b)
	seen := map[string]bool{}
	for key, m := range v.Members() {
		if !m.IsSet() {
			continue
		}
		if len(b) > start {
			b = append(b, ',')
		}
		b = raw.AppendText(b, string(key))
		b = append(b, ':')
		b = append(b, m...)
		seen[string(key)] = true
	}
	lack := func(key, value string) {
		if !seen[key] {
			b = append(b, ',', '"')
			b = append(b, key...)
			b = append(b, '"', ':')
			b = append(b, value...)
		}
	}
	switch v.Field("type").Text() {
	case "output_text":
		lack("annotations", "[]")
	case "input_image":
		lack("image_url", "null")
		lack("detail", `"auto"`)
	}
	return append(b, '}')
}

// StoredInput returns the items of a request's input in the form that the API
// returns. Their ids are the same each time.
func StoredInput(request run.ID, input []Item) []Item {
	return stored(input, request, itemid.Input)
}

// StoredAdditions returns the items that one change adds to a conversation in
// the form that the API returns.
func StoredAdditions(change run.ID, items []Item) []Item {
	return stored(items, change, itemid.Added)
}

func stored(items []Item, by run.ID, name func(typ string, by run.ID, place int) string) []Item {
	all := make([]Item, len(items))
	for i, it := range items {
		all[i] = it.Stored(name(it.Type, by, i))
	}
	return all
}
