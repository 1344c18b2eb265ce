package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

var errNoList = errors.New("list the upstream's models: its answer holds no list of models")

// read finds the models in an answer: a list under data or models, or the
// answer itself, of objects with an id, a name or a model, or of names. What is
// not a model's name is passed over.
func read(body []byte) ([]Entry, error) {
	list, err := listOf(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	var all []Entry
	seen := map[string]bool{}
	for _, v := range list {
		e := entryOf(v)
		if !isName(e.ID) || seen[e.ID] {
			continue
		}
		seen[e.ID] = true
		if all = append(all, e); len(all) == maxNames {
			break
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

func listOf(body []byte) ([]json.RawMessage, error) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil {
		return list, nil
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil, errNoList
	}
	for _, key := range []string{"data", "models"} {
		v, ok := object[key]
		if !ok {
			continue
		}
		if json.Unmarshal(v, &list) == nil { // null is an empty list
			return list, nil
		}
		var byName map[string]json.RawMessage
		if json.Unmarshal(v, &byName) == nil {
			for name := range byName {
				quoted, err := json.Marshal(name)
				if err == nil {
					list = append(list, quoted)
				}
			}
			return list, nil
		}
	}
	return nil, errNoList
}

func entryOf(v json.RawMessage) Entry {
	var e Entry
	if json.Unmarshal(v, &e.ID) == nil {
		return e
	}
	var o map[string]json.RawMessage
	if json.Unmarshal(v, &o) != nil {
		return Entry{}
	}
	for _, key := range []string{"id", "name", "model"} {
		if json.Unmarshal(o[key], &e.ID) == nil && e.ID != "" {
			break
		}
	}
	var created float64
	if json.Unmarshal(o["created"], &created) == nil && created > 0 && created < 1<<40 {
		e.Created = int64(created)
	}
	if json.Unmarshal(o["owned_by"], &e.OwnedBy) != nil || len(e.OwnedBy) > maxName {
		e.OwnedBy = ""
	}
	return e
}

const maxName = 256

// isName tells what can be a model's name here; the registry's rule.
func isName(s string) bool {
	return s != "" && s != "*" && utf8.RuneCountInString(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r == 0x7f
	})
}
