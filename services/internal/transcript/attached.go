package transcript

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
)

// AttachedMark occurs in every record of a turn to whose items an upstream
// attached something.
var AttachedMark = []byte(`"own":{`)

// TurnsOf returns the turns that the items of a conversation come from.
func TurnsOf(conversation []Ancestor) []run.TurnKey {
	var keys []run.TurnKey
	for _, a := range conversation {
		for _, t := range a.Turns {
			if k, ok := t.key(); ok {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

func (t Turn) key() (k run.TurnKey, ok bool) {
	if len(t.Items) == 0 {
		return k, false
	}
	k.Request, k.Turn, ok = itemid.Step(t.Items[0].ID)
	return k, ok
}

// Attach adds what upstreams attached to the items of a conversation, from the
// records of its turns. It skips items that are not in their turn's record, and
// turns whose record is unreadable: the items themselves are complete without
// it.
func Attach(conversation []Ancestor, records map[run.TurnKey][]byte) {
	for _, a := range conversation {
		for i := range a.Turns {
			k, ok := a.Turns[i].key()
			if !ok || records[k] == nil {
				continue
			}
			if r, err := ReadRecord(records[k]); err == nil {
				a.Turns[i].attach(r)
			}
		}
	}
}

// attach copies what a record has of the turn's items. An item has the same
// place in both; the type of a hosted call differs, so only the place is
// compared.
func (t *Turn) attach(r Record) {
	at := make(map[string]int, len(r.Items))
	for i, it := range r.Items {
		at[itemid.Place(it.ID)] = i
	}
	t.Origin, t.Own = r.Origin, make(map[int]json.RawMessage, len(r.Own))
	for i, it := range t.Items {
		if from, ok := at[itemid.Place(it.ID)]; ok && r.Own[from] != nil {
			t.Own[i] = r.Own[from]
		}
	}
}
