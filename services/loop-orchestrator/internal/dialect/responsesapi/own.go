package responsesapi

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// maxOwn bounds what is kept of an upstream's item, in bytes.
const maxOwn = 1 << 20

// neutral are the members of items that the record has, or that are not to go
// back: the upstream would look an id up among what it has kept.
var neutral = map[string]bool{
	"type": true, "id": true, "status": true, "role": true, "content": true, "phase": true, "summary": true, "encrypted_content": true,
	"call_id": true, "namespace": true, "name": true, "arguments": true, "input": true, "function": true,
}

// own is what is kept of an item to be sent back to its upstream: of reasoning
// that is not sealed all of it, of others what has no place in the record. A call
// keeps its id, because the record may have another one in its place.
func own(it json.RawMessage, o model.Output) json.RawMessage {
	if len(it) > maxOwn && o.Kind != model.Reasoning {
		return nil
	}
	if o.Kind == model.Reasoning && o.Reasoning.Encrypted == "" {
		if o.Reasoning.Text == "" && len(o.Reasoning.Summary) == 0 {
			return nil
		}
		m := members{}
		for name, v := range rawjson.Members(it) {
			m[name] = v
		}
		m["type"] = quote("reasoning")
		return m.json()
	}
	m := members{}
	for name, v := range rawjson.Members(it) {
		if given(v) && !neutral[name] {
			m[name] = v
		}
	}
	if id := o.Call.ID; id != "" {
		m["call_id"] = quote(id)
	}
	if len(m) == 0 {
		return nil
	}
	return m.json()
}

// withCallID is what is kept of a call under another id of it.
func withCallID(kept json.RawMessage, id string) json.RawMessage {
	var m members
	if id == "" || json.Unmarshal(kept, &m) != nil {
		return kept
	}
	m["call_id"] = quote(id)
	return m.json()
}

// open adds reasoning that is not sealed, as it came, where it goes back to the
// upstream that it came from.
func (t *thread) open(it item.Item, kept json.RawMessage) bool {
	if it.Type != "reasoning" || it.Encrypted() != "" || kept == nil {
		return false
	}
	var m members
	if json.Unmarshal(kept, &m) != nil {
		return false
	}
	// Of an upstream that is not asked to seal, a summary alone is OpenAI's: it
	// refuses that without the sealed thoughts.
	if r := readReasoning(kept); r.Text == "" && (t.noSeal || len(r.Summary) == 0) {
		return false
	}
	if m["summary"] == nil {
		m["summary"] = json.RawMessage("[]")
	}
	t.items = append(t.items, m)
	return true
}

// attach adds what the upstream attached to the last item.
func (t *thread) attach(kept json.RawMessage) {
	var m members
	if json.Unmarshal(kept, &m) != nil {
		return
	}
	last := t.items[len(t.items)-1]
	// Calls of one turn need ids of their own, or their outputs could not be paired.
	if id := m["call_id"]; given(id) && given(last["call_id"]) && !t.used[string(id)] {
		t.used[string(id)] = true
		t.ids[string(last["call_id"])] = id
		last["call_id"] = id
	}
	for name, v := range m {
		if _, there := last[name]; !there && name != "call_id" {
			last[name] = v
		}
	}
}
