package plan

import (
	"fmt"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/transcript"
)

// itemID is the same in every attempt, so that a client recognizes the items of
// an earlier one.
func (d *Draft) itemID(prefix string, n int) string {
	return itemid.Output(prefix, d.ID, d.Turn, d.base+n)
}

// maxID bounds the ids of calls that clients see.
const maxID = 64

// uniqueID returns the id under which clients know a call: the model's, unless
// it is empty, long, in use or has unusual characters. The id that replaces it
// has the random half of the request's id and stays below the 40 characters
// that OpenAI's chat completions accepts. The dialect keeps the model's id
// (model.Output.Own).
func (d *Draft) uniqueID(id string, n int) string {
	unique := id
	if len(id) > maxID || strings.ContainsFunc(id, unusual) {
		unique = ""
	}
	for ; unique == "" || d.ids[unique]; n++ {
		unique = fmt.Sprintf("%s%s%04x%04x", run.ToolCallPrefix, run.Hex(d.ID)[16:], d.Turn, n)
	}
	d.ids[unique] = true
	return unique
}

// unusual reports whether ids of common servers do not have a character:
// functions.get_weather:0, call_1, toolu-1.
func unusual(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("_-.:", r)
}

func (s State) callIDs() map[string]bool {
	ids := make(map[string]bool)
	add := func(input []item.Item, turns []transcript.Turn) {
		for _, t := range turns {
			for _, it := range t.Items {
				ids[it.CallID] = true
			}
		}
		for _, it := range input {
			ids[it.CallID] = true
		}
	}
	for _, a := range s.Earlier {
		add(a.Input, a.Turns)
	}
	add(s.Request.Input, s.Turns)
	return ids
}

// clean makes a name that the model wrote fit a text column and a log line.
func clean(s string, most int) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
