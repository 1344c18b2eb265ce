package responsesapi

import (
	"encoding/json"
	"fmt"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/history"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

// members is an item of the input, by member.
type members map[string]json.RawMessage

func (m members) json() json.RawMessage {
	b, err := json.Marshal(map[string]json.RawMessage(m))
	if err != nil {
		panic(err) // members that were decoded or quoted encode
	}
	return b
}

// newMembers returns an item of alternating names and texts.
func newMembers(texts ...string) members {
	m := make(members, len(texts)/2)
	for i := 0; i < len(texts); i += 2 {
		m[texts[i]] = rawjson.Quote(texts[i+1])
	}
	return m
}

// thread builds the input of a history.
type thread struct {
	items      []members
	noSeal     bool                       // the upstream is not asked for encrypted reasoning
	callIDs    map[string]json.RawMessage // the upstream's call ids, by those of the record
	usedInTurn map[string]bool            // the upstream's call ids that the turn has used
}

func encodeHistory(c model.Call) ([]members, error) {
	t := thread{items: []members{}, noSeal: c.NoSeal, callIDs: map[string]json.RawMessage{}}
	if err := history.Walk(c, &t); err != nil {
		return nil, err
	}
	return t.items, nil
}

// AddTurn adds what the model said and, in the order of its calls, the results
// of the tools.
func (t *thread) AddTurn(turn history.Turn) error {
	begin := len(t.items)
	t.usedInTurn = map[string]bool{}
	var results []members
	for _, o := range turn.Outputs {
		if o.Cut || t.addPlainReasoning(o) {
			continue
		}
		before := len(t.items)
		if err := t.AddItem(o.Item); err != nil {
			return err
		}
		if o.Own != nil && len(t.items) == before+1 {
			t.addOwn(o.Own)
		}
		if o.Result != nil {
			results = append(results, members{
				"type": rawjson.Quote("function_call_output"), "call_id": t.last()["call_id"],
				"output": rawjson.Quote(*o.Result),
			})
		}
	}
	// OpenAI refuses reasoning that no output follows, as in a turn that was
	// cut off.
	for n := len(t.items); n > begin && string(t.items[n-1]["type"]) == `"reasoning"`; n-- {
		t.items = t.items[:n-1]
	}
	t.items = append(t.items, results...)
	return nil
}

func (t *thread) last() members { return t.items[len(t.items)-1] }

// AddItem adds an item of the input.
func (t *thread) AddItem(it item.Item) error {
	switch it.Type {
	case "message", "custom_tool_call":
		return t.addWithoutID(it)
	case "function_call_output", "custom_tool_call_output":
		if err := t.addWithoutID(it); err != nil {
			return err
		}
		if id, ok := t.callIDs[string(t.last()["call_id"])]; ok {
			t.last()["call_id"] = id
		}
		return nil
	case "function_call":
		if err := t.addWithoutID(it); err != nil {
			return err
		}
		t.last()["arguments"] = rawjson.Quote(model.Arguments(it.Arguments()))
		return nil
	case "reasoning":
		return t.addEncryptedReasoning(it)
	case "mcp_call":
		call, output := history.HostedCall(it, len(t.items))
		t.items = append(t.items,
			newMembers("type", "function_call", "call_id", call.ID, "name", call.Name, "arguments", call.Arguments),
			newMembers("type", "function_call_output", "call_id", call.ID, "output", output))
		return nil
	case "mcp_list_tools": // each call offers its tools itself
		return nil
	case "item_reference":
		return history.Unsupported(it)
	}
	return t.addUnchanged(it)
}

// addUnchanged adds an item of a type that only the upstream knows.
func (t *thread) addUnchanged(it item.Item) error {
	var m members
	if err := json.Unmarshal(it.JSON(), &m); err != nil {
		return fmt.Errorf("read an item of type %q: %w", it.Type, err)
	}
	t.items = append(t.items, m)
	return nil
}

// addWithoutID adds an item without the members that only the server that
// stored it can use.
func (t *thread) addWithoutID(it item.Item) error {
	if err := t.addUnchanged(it); err != nil {
		return err
	}
	m := t.last()
	for name, value := range m {
		if name == "id" || name == "status" || string(value) == "null" {
			delete(m, name)
		}
	}
	m["type"] = rawjson.Quote(it.Type)
	return nil
}

// addEncryptedReasoning drops reasoning that is not encrypted;
// addPlainReasoning adds that where the upstream accepts it.
func (t *thread) addEncryptedReasoning(it item.Item) error {
	if it.Encrypted() == "" {
		return nil
	}
	if err := t.addWithoutID(it); err != nil {
		return err
	}
	m := t.last()
	delete(m, "content") // the specification allows none in an input
	if m["summary"] == nil {
		m["summary"] = json.RawMessage("[]")
	}
	return nil
}
