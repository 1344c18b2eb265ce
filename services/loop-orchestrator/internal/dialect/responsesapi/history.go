package responsesapi

import (
	"encoding/json"
	"fmt"
	"slices"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

// members is an object of the input, member by member.
type members map[string]json.RawMessage

func (m members) json() json.RawMessage {
	b, err := json.Marshal(map[string]json.RawMessage(m))
	if err != nil {
		panic(err) // what was read or quoted encodes
	}
	return b
}

// object is one of texts.
func object(texts ...string) members {
	m := make(members, len(texts)/2)
	for i := 0; i < len(texts); i += 2 {
		m[texts[i]] = quote(texts[i+1])
	}
	return m
}

func quote(text string) json.RawMessage {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always encodes
	}
	return b
}

// thread builds the input.
type thread struct {
	items  []members
	origin string // of the upstream that is called
	noSeal bool
	ids    map[string]json.RawMessage // of calls: the upstream's own, by the record's
	used   map[string]bool            // the upstream's own ids in a turn
}

func history(c model.Call) ([]members, error) {
	t := thread{items: []members{}, origin: c.Origin, noSeal: c.NoSeal, ids: map[string]json.RawMessage{}}
	if err := c.Each(t.add, t.turn); err != nil {
		return nil, err
	}
	return t.items, nil
}

// turn adds what the model said and, in the order of its calls, what the tools answered.
func (t *thread) turn(turn transcript.Turn) error {
	begin := len(t.items)
	t.used = map[string]bool{}
	var results []members
	for i, it := range turn.Items {
		step, ran := turn.Tools[it.CallID]
		if (it.Type == "function_call" || it.Type == "custom_tool_call") && it.Status == "incomplete" && !ran {
			continue // the model was cut off in a call of the client's, who was not asked to make it
		}
		var kept json.RawMessage
		if t.origin != "" && turn.Origin == t.origin {
			kept = turn.Own[i]
		}
		if t.open(it, kept) {
			continue
		}
		before := len(t.items)
		if err := t.add(it); err != nil {
			return err
		}
		if kept != nil && len(t.items) == before+1 {
			t.attach(kept)
		}
		if ran && it.Type == "function_call" {
			results = append(results, members{
				"type": quote("function_call_output"), "call_id": t.items[len(t.items)-1]["call_id"], "output": quote(string(step.Output)),
			})
		}
	}
	// Thoughts that came to nothing, because the model was cut off, are refused: each needs what it led to.
	for n := len(t.items); n > begin && string(t.items[n-1]["type"]) == `"reasoning"`; n-- {
		t.items = t.items[:n-1]
	}
	t.items = append(t.items, results...)
	return nil
}

func (t *thread) add(it item.Item) error {
	switch it.Type {
	case "message", "custom_tool_call":
		return t.own(it)
	case "function_call_output", "custom_tool_call_output":
		if err := t.own(it); err != nil {
			return err
		}
		last := t.items[len(t.items)-1]
		if id, ok := t.ids[string(last["call_id"])]; ok {
			last["call_id"] = id
		}
		return nil
	case "function_call":
		if err := t.own(it); err != nil {
			return err
		}
		t.items[len(t.items)-1]["arguments"] = quote(model.Arguments(it.Arguments()))
		return nil
	case "reasoning":
		return t.reasoning(it)
	case "mcp_call": // an earlier response's hosted call, given back as input
		t.hosted(it)
		return nil
	case "mcp_list_tools": // what is offered is said anew with every call
		return nil
	case "item_reference":
		return fmt.Errorf("an item of type %q is %w", it.Type, model.ErrUnsupported)
	}
	var whole members // of a type that only the upstream knows: its own, and as it came
	if err := json.Unmarshal(it.JSON(), &whole); err != nil {
		return fmt.Errorf("read an item of type %q: %w", it.Type, err)
	}
	t.items = append(t.items, whole)
	return nil
}

// own adds an item of a type that is written here: as it is, but without what only its keeper can use.
func (t *thread) own(it item.Item) error {
	var m members
	if err := json.Unmarshal(it.JSON(), &m); err != nil {
		return fmt.Errorf("read an item of type %q: %w", it.Type, err)
	}
	for name, value := range m {
		if name == "id" || name == "status" || string(value) == "null" {
			delete(m, name)
		}
	}
	m["type"] = quote(it.Type)
	t.items = append(t.items, m)
	return nil
}

// reasoning adds what the model thought, if it is sealed; see open for what is not.
func (t *thread) reasoning(it item.Item) error {
	if it.Encrypted() == "" {
		return nil
	}
	if err := t.own(it); err != nil {
		return err
	}
	m := t.items[len(t.items)-1]
	delete(m, "content") // the specification wants none in an input
	if m["summary"] == nil {
		m["summary"] = json.RawMessage("[]")
	}
	return nil
}

func (t *thread) hosted(it item.Item) {
	id := fmt.Sprintf("call_hosted_%d", len(t.items))
	if it.ID != "" {
		id = transcript.CallID(it.ID)
	}
	text, ok := it.Output()
	if !ok {
		text = it.Error()
	}
	call := object("type", "function_call", "call_id", id, "name", it.Name, "arguments", model.Arguments(it.Arguments()))
	t.items = slices.Concat(t.items, []members{call, result(id, text)})
}

func result(callID, text string) members {
	return object("type", "function_call_output", "call_id", callID, "output", text)
}
