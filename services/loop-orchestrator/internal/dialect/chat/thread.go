package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// noInput is sent for a user's message without text, and if there is no
	// message at all. Upstreams refuse both.
	noInput = "(no input)"
	// noOutput is sent for an empty output of a tool.
	noOutput = "(The tool returned no output.)"
	// noText is sent for an output of images or files only: chat completions
	// has texts as results of tools.
	noText = "(The tool returned no text.)"
)

// thread builds the messages. A call is added to the assistant message before
// it if both belong to the same turn.
type thread struct {
	messages []message
	origin   string // of the upstream
	field    string // the member for other upstreams' reasoning; empty: not sent
	begin    int    // first message of the turn, or of the input between turns

	// for the next assistant message
	thought []reasoning
	further json.RawMessage
}

func messages(c model.Call) ([]message, error) {
	t := thread{origin: c.Origin, field: c.Settings.ReasoningField}
	if t.field == registry.ReasoningNone {
		t.field = ""
	}
	if c.Request.Instructions != "" {
		t.messages = append(t.messages, message{Role: "system", Content: c.Request.Instructions})
	}
	if err := c.Each(t.add, t.addTurn); err != nil {
		return nil, err
	}
	return t.withoutEmpty(), nil
}

// withoutEmpty drops empty messages; the user's get noInput as text. The result
// has at least one message that is not a system message.
func (t *thread) withoutEmpty() []message {
	all := t.messages[:0]
	heard := false
	for _, m := range t.messages {
		if blank(m.Content) && m.Refusal == "" && len(m.ToolCalls) == 0 {
			if m.Role != "user" {
				continue
			}
			m.Content = noInput
		}
		heard = heard || m.Role != "system" && m.Role != "developer"
		all = append(all, m)
	}
	if !heard {
		all = append(all, message{Role: "user", Content: noInput})
	}
	return all
}

// addTurn adds a turn's assistant message and the results of its calls, in the
// order of the calls. What an upstream attached is added only if the request
// goes to the same upstream.
func (t *thread) addTurn(turn transcript.Turn) error {
	t.start()
	owns := make([]own, len(turn.Items))
	var members own
	if turn.Origin != "" && turn.Origin == t.origin {
		for i := range owns {
			owns[i] = readOwn(turn, i)
			members.join(owns[i])
		}
		t.addReasoning(turn.Items, members.Reasoning...)
	} else {
		t.addReasoning(turn.Items, t.field)
	}
	t.further = members.Message
	var results []message
	for i, it := range turn.Items {
		step, ran := turn.Tools[it.CallID]
		switch {
		case it.Type == "reasoning":
			continue
		case it.Type == "function_call" && it.Status == "incomplete" && !ran:
			continue // the model was cut off in a call of the client's, who was not asked to make it
		case it.Type == "function_call":
			t.addCall(callOf(it, owns[i]))
			if ran {
				results = append(results, t.result(it.CallID, string(step.Output)))
			}
			continue
		}
		if err := t.add(it); err != nil {
			return err
		}
		if last := len(t.messages) - 1; it.Type == "message" && members.Content != nil {
			t.messages[last].Content, members.Content = members.Content, nil
		}
	}
	t.messages = append(t.messages, results...)
	t.start()
	return nil
}

// start begins a turn, or the input between turns.
func (t *thread) start() { t.begin, t.thought, t.further = len(t.messages), nil, nil }

// addReasoning puts the text of reasoning items into the named members of the
// next assistant message.
func (t *thread) addReasoning(items []item.Item, names ...string) {
	var texts []string
	for _, it := range items {
		if it.Type != "reasoning" {
			continue
		}
		for _, p := range it.Parts() {
			texts = append(texts, p.Text)
		}
		if len(it.Parts()) == 0 {
			texts = append(texts, it.Summary()...)
		}
	}
	text := strings.Join(texts, "\n\n")
	for _, name := range names {
		if name != "" && (text != "" || name != t.field) {
			t.thought = append(t.thought, reasoning{name: name, text: text})
		}
	}
}

func (t *thread) add(it item.Item) error {
	switch it.Type {
	case "message":
		m, err := readItem(it)
		if err != nil {
			return err
		}
		if m.Role == "assistant" {
			m.thought, m.further = t.thought, t.further
		}
		t.thought, t.further = nil, nil
		t.messages = append(t.messages, m)
	case "function_call":
		t.addCall(callOf(it, own{}))
	case "function_call_output":
		t.addOutput(it.CallID, outputText(it))
	case "mcp_call": // a hosted call of an earlier response, sent as input
		id := t.hostedID(it)
		t.addCall(toolCall{key: id, Function: calledByName{Name: it.Name, Arguments: it.Arguments()}})
		text, ok := it.Output()
		if !ok {
			text = it.Error()
		}
		t.messages = append(t.messages, t.result(id, text))
	case "reasoning":
		t.addReasoning([]item.Item{it}, t.field)
	case "mcp_list_tools": // chat completions cannot express it
	default:
		return fmt.Errorf("an item of type %q is %w", it.Type, model.ErrUnsupported)
	}
	return nil
}

func callOf(it item.Item, o own) toolCall {
	return toolCall{
		ID: o.ID, key: it.CallID, further: o.Call,
		Function: calledByName{Name: it.Name, Arguments: it.Arguments(), further: o.Function},
	}
}

// addCall adds a call to the turn's assistant message, which it creates if
// there is none. The call keeps the upstream's id unless another call of the
// message has the same.
func (t *thread) addCall(c toolCall) {
	n := len(t.messages)
	if n <= t.begin || t.messages[n-1].Role != "assistant" {
		t.messages = append(t.messages, message{Role: "assistant", thought: t.thought, further: t.further})
		t.thought, t.further = nil, nil
	}
	m := &t.messages[len(t.messages)-1]
	if blank(m.Content) {
		m.Content = nil
	}
	if c.ID == "" || slices.ContainsFunc(m.ToolCalls, func(other toolCall) bool { return other.ID == c.ID }) {
		c.ID = c.key
	}
	c.Type, c.Function.Arguments = "function", model.Arguments(c.Function.Arguments)
	m.ToolCalls = append(m.ToolCalls, c)
}

// result returns the message for the result of a call, with the upstream's id.
func (t *thread) result(key, text string) message {
	if strings.TrimSpace(text) == "" {
		text = noOutput
	}
	m := message{Role: "tool", ToolCallID: key, Content: text}
	if _, c := t.findCall(key); c != nil {
		m.ToolCallID = c.ID
	}
	return m
}

// findCall returns the last call with that key and the place of its message;
// nil if there is none.
func (t *thread) findCall(key string) (at int, c *toolCall) {
	for at := range slices.Backward(t.messages) {
		calls := t.messages[at].ToolCalls
		for i := range calls {
			if calls[i].key == key {
				return at, &calls[i]
			}
		}
	}
	return 0, nil
}

// addOutput inserts a client's result behind its call, because chat completions
// allows nothing in between.
func (t *thread) addOutput(key, text string) {
	m := t.result(key, text)
	at, c := t.findCall(key)
	if c == nil {
		t.messages = append(t.messages, m)
		return
	}
	behind := at + 1
	for behind < len(t.messages) && t.messages[behind].Role == "tool" {
		behind++
	}
	t.messages = slices.Insert(t.messages, behind, m)
	if behind <= t.begin {
		t.begin++
	}
}

// hostedID derives a call id from the id of an mcp_call, which may be absent.
func (t *thread) hostedID(it item.Item) string {
	if it.ID == "" {
		return fmt.Sprintf("call_hosted_%d", len(t.messages))
	}
	return transcript.CallID(it.ID)
}
