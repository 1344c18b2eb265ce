package responsesapi

import (
	"encoding/json"

	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/history"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// maxOwn bounds what is kept of an upstream's item, in bytes.
const maxOwn = 1 << 20

// notOwn names the members of items that the record has, or that must not be
// sent back: an upstream would look up an id among its stored items.
var notOwn = map[string]bool{
	"type": true, "id": true, "status": true, "role": true, "content": true, "phase": true, "summary": true,
	"encrypted_content": true, "call_id": true, "namespace": true, "name": true, "arguments": true, "input": true,
	"function": true,
}

// newOwn returns what is kept of an item to be sent back to its upstream: the
// whole item of plain reasoning, the members that the record lacks of others. A
// call keeps its id, because the record may replace it.
func newOwn(it json.RawMessage, o model.Output) json.RawMessage {
	if len(it) > maxOwn && o.Kind != model.Reasoning {
		return nil
	}
	m := members{}
	if o.Kind == model.Reasoning && o.Reasoning.Encrypted == "" {
		if o.Reasoning.Text == "" && len(o.Reasoning.Summary) == 0 {
			return nil
		}
		for name, v := range rawjson.Members(it) {
			m[name] = v
		}
		m["type"] = rawjson.Quote("reasoning")
		return m.json()
	}
	for name, v := range rawjson.Members(it) {
		if rawjson.IsSet(v) && !notOwn[name] {
			m[name] = v
		}
	}
	if id := o.Call.ID; id != "" {
		m["call_id"] = rawjson.Quote(id)
	}
	if len(m) == 0 {
		return nil
	}
	return m.json()
}

// replaceCallID returns what is kept of a call with another call id.
func replaceCallID(own json.RawMessage, id string) json.RawMessage {
	var m members
	if id == "" || json.Unmarshal(own, &m) != nil {
		return own
	}
	m["call_id"] = rawjson.Quote(id)
	return m.json()
}

// addPlainReasoning adds reasoning that is not encrypted, as it came, if the
// upstream is the one that wrote it. It reports whether it added the item.
func (t *thread) addPlainReasoning(o history.Output) bool {
	if o.Type != "reasoning" || o.Encrypted() != "" || o.Own == nil {
		return false
	}
	var m members
	if json.Unmarshal(o.Own, &m) != nil {
		return false
	}
	// OpenAI refuses a summary without the encrypted reasoning. If the upstream
	// is not asked for that, a summary alone is OpenAI's.
	if r := readReasoning(o.Own); r.Text == "" && (t.noSeal || len(r.Summary) == 0) {
		return false
	}
	if m["summary"] == nil {
		m["summary"] = json.RawMessage("[]")
	}
	t.items = append(t.items, m)
	return true
}

// addOwn adds what the upstream attached to the last item.
func (t *thread) addOwn(own json.RawMessage) {
	var m members
	if json.Unmarshal(own, &m) != nil {
		return
	}
	last := t.last()
	// The calls of a turn need different ids, or their outputs could not be
	// paired.
	if id := m["call_id"]; rawjson.IsSet(id) && rawjson.IsSet(last["call_id"]) && !t.usedInTurn[string(id)] {
		t.usedInTurn[string(id)] = true
		t.callIDs[string(last["call_id"])] = id
		last["call_id"] = id
	}
	for name, v := range m {
		if _, there := last[name]; !there && name != "call_id" {
			last[name] = v
		}
	}
}
