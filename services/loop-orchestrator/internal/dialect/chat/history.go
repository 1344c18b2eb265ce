package chat

import (
	"encoding/json"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect/history"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

const (
	// noInput replaces an empty user message, and a history without any
	// message. Upstreams refuse both.
	noInput = "(no input)"
	// noOutput replaces the empty output of a tool.
	noOutput = "(The tool returned no output.)"
	// noText replaces an output of images or files: chat completions allows
	// only text as the result of a tool.
	noText = "(The tool returned no text.)"
)

// thread builds the messages of a history. It adds a call to the assistant
// message before it if both belong to the same turn.
type thread struct {
	messages []message
	field    string // the member for reasoning of other upstreams; empty: not sent
	begin    int    // first message of the turn, or of the input between turns

	// for the next assistant message
	thought []reasoning
	further json.RawMessage
}

func encodeHistory(c model.Call) ([]message, error) {
	t := thread{field: c.Settings.ReasoningField}
	if t.field == registry.ReasoningNone {
		t.field = ""
	}
	if c.Request.Instructions != "" {
		t.messages = append(t.messages, message{Role: "system", Content: c.Request.Instructions})
	}
	if err := history.Walk(c, &t); err != nil {
		return nil, err
	}
	return t.withoutEmpty(), nil
}

// withoutEmpty drops empty messages and gives empty user messages noInput as
// text. The result has at least one message that is not a system message.
func (t *thread) withoutEmpty() []message {
	kept := t.messages[:0]
	hasInput := false
	for _, m := range t.messages {
		if blank(m.Content) && m.Refusal == "" && len(m.ToolCalls) == 0 {
			if m.Role != "user" {
				continue
			}
			m.Content = noInput
		}
		hasInput = hasInput || m.Role != "system" && m.Role != "developer"
		kept = append(kept, m)
	}
	if !hasInput {
		kept = append(kept, message{Role: "user", Content: noInput})
	}
	return kept
}

// AddTurn adds a turn's assistant message and the results of its calls, in the
// order of the calls. What the upstream attached is added only if the request
// goes to the same upstream.
func (t *thread) AddTurn(turn history.Turn) error {
	t.begin, t.thought, t.further = len(t.messages), nil, nil
	owns := make([]own, len(turn.Outputs))
	var attached own
	for i, o := range turn.Outputs {
		owns[i] = decodeOwn(o.Own)
		attached.join(owns[i])
	}
	names := []string{t.field}
	if turn.SameUpstream {
		names = attached.Reasoning
	}
	t.addReasoning(turn.Outputs, names...)
	t.further = attached.Message
	var results []message
	for i, o := range turn.Outputs {
		switch {
		case o.Type == "reasoning", o.Cut:
			continue
		case o.Type == "function_call":
			t.addCall(newToolCall(o.Item, owns[i]))
			if o.Result != nil {
				results = append(results, t.newResult(o.CallID, *o.Result))
			}
			continue
		}
		if err := t.AddItem(o.Item); err != nil {
			return err
		}
		if last := len(t.messages) - 1; o.Type == "message" && attached.Content != nil {
			t.messages[last].Content, attached.Content = attached.Content, nil
		}
	}
	t.messages = append(t.messages, results...)
	t.begin, t.thought, t.further = len(t.messages), nil, nil
	return nil
}

// addReasoning puts the text of reasoning outputs into the named members of the
// next assistant message.
func (t *thread) addReasoning(outputs []history.Output, names ...string) {
	var texts []string
	for _, o := range outputs {
		if o.Type != "reasoning" {
			continue
		}
		for _, p := range o.Parts() {
			texts = append(texts, p.Text)
		}
		if len(o.Parts()) == 0 {
			texts = append(texts, o.Summary()...)
		}
	}
	text := strings.Join(texts, "\n\n")
	for _, name := range names {
		if name != "" && (text != "" || name != t.field) {
			t.thought = append(t.thought, reasoning{name: name, text: text})
		}
	}
}

// AddItem adds an item of the input.
func (t *thread) AddItem(it item.Item) error {
	switch it.Type {
	case "message":
		m, err := newMessage(it)
		if err != nil {
			return err
		}
		if m.Role == "assistant" {
			m.thought, m.further = t.thought, t.further
		}
		t.thought, t.further = nil, nil
		t.messages = append(t.messages, m)
	case "function_call":
		t.addCall(newToolCall(it, own{}))
	case "function_call_output":
		t.addOutput(it.CallID, outputText(it))
	case "mcp_call":
		call, output := history.HostedCall(it, len(t.messages))
		t.addCall(toolCall{key: call.ID, Function: namedFunction{Name: call.Name, Arguments: call.Arguments}})
		t.messages = append(t.messages, t.newResult(call.ID, output))
	case "reasoning":
		t.addReasoning([]history.Output{{Item: it}}, t.field)
	case "mcp_list_tools": // chat completions cannot express it
	default:
		return history.Unsupported(it)
	}
	return nil
}

func newToolCall(it item.Item, o own) toolCall {
	return toolCall{
		ID: o.ID, key: it.CallID, further: o.Call,
		Function: namedFunction{Name: it.Name, Arguments: model.Arguments(it.Arguments()), further: o.Function},
	}
}

// addCall adds a call to the turn's assistant message, which it creates if the
// turn has none yet. The call keeps the upstream's id unless another call of
// the message has the same id.
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
	c.Type = "function"
	m.ToolCalls = append(m.ToolCalls, c)
}

// newResult returns the message for the result of a call, with the upstream's
// call id.
func (t *thread) newResult(key, text string) message {
	if strings.TrimSpace(text) == "" {
		text = noOutput
	}
	m := message{Role: "tool", ToolCallID: key, Content: text}
	if _, c := t.findCall(key); c != nil {
		m.ToolCallID = c.ID
	}
	return m
}

// findCall returns the last call with that key and the position of its message;
// nil if the history has no such call.
func (t *thread) findCall(key string) (position int, c *toolCall) {
	for position := range slices.Backward(t.messages) {
		calls := t.messages[position].ToolCalls
		for i := range calls {
			if calls[i].key == key {
				return position, &calls[i]
			}
		}
	}
	return 0, nil
}

// addOutput inserts a client's result behind its call, because chat completions
// allows nothing in between.
func (t *thread) addOutput(key, text string) {
	m := t.newResult(key, text)
	position, c := t.findCall(key)
	if c == nil {
		t.messages = append(t.messages, m)
		return
	}
	behind := position + 1
	for behind < len(t.messages) && t.messages[behind].Role == "tool" {
		behind++
	}
	t.messages = slices.Insert(t.messages, behind, m)
	if behind <= t.begin {
		t.begin++
	}
}
