package chat

import (
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/internal/chain"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
)

type message struct {
	Role       string     `json:"role"`
	Content    any        `json:"content"` // a string, parts, or null beside tool calls
	Refusal    string     `json:"refusal,omitempty"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`
}

type toolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function calledByName `json:"function"`
}

type calledByName struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type part struct {
	Type     string    `json:"type"`
	Text     *string   `json:"text,omitempty"`
	ImageURL *imageURL `json:"image_url,omitempty"`
	File     *file     `json:"file,omitempty"`
}

type imageURL struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

type file struct {
	Data     string `json:"file_data,omitempty"`
	ID       string `json:"file_id,omitempty"`
	Filename string `json:"filename,omitempty"`
}

// thread builds the messages. Calls join the assistant message before them, as chat completions wants them.
type thread struct {
	messages []message
}

func messages(c model.Call) ([]message, error) {
	var t thread
	if c.Request.Instructions != "" {
		t.messages = append(t.messages, message{Role: "system", Content: c.Request.Instructions})
	}
	if err := c.Each(t.add, t.turn); err != nil {
		return nil, err
	}
	return t.messages, nil
}

// turn adds what the model said and, in the order of its calls, what the tools answered.
func (t *thread) turn(turn chain.Turn) error {
	var results []message
	for _, it := range turn.Items {
		step, ran := turn.Tools[it.CallID]
		if it.Type == "function_call" && it.Status == "incomplete" && !ran {
			continue // the model was cut off in a call of the client's, who was not asked to make it
		}
		if err := t.add(it); err != nil {
			return err
		}
		if ran && it.Type == "function_call" {
			results = append(results, message{Role: "tool", ToolCallID: it.CallID, Content: string(step.Output)})
		}
	}
	t.messages = append(t.messages, results...)
	return nil
}

func (t *thread) add(it item.Item) error {
	switch it.Type {
	case "message":
		return t.say(it)
	case "function_call":
		t.call(it.CallID, it.Name, it.Arguments())
	case "function_call_output":
		t.output(it.CallID, outputText(it))
	case "mcp_call": // an earlier response's hosted call, given back as input
		id := t.hostedID(it)
		t.call(id, it.Name, it.Arguments())
		text, ok := it.Output()
		if !ok {
			text = it.Error()
		}
		t.messages = append(t.messages, message{Role: "tool", ToolCallID: id, Content: text})
	case "reasoning", "mcp_list_tools":
		// Chat completions has no place for them.
	default:
		return fmt.Errorf("an item of type %q is %w", it.Type, model.ErrUnsupported)
	}
	return nil
}

func (t *thread) say(it item.Item) error {
	m := message{Role: it.Role}
	var parts []part
	for _, p := range it.Parts() {
		switch p.Type {
		case "input_text", "output_text", "text", "summary_text", "reasoning_text":
			text := p.Text
			parts = append(parts, part{Type: "text", Text: &text})
		case "refusal":
			m.Refusal += p.Text
		case "input_image":
			if p.ImageURL == "" {
				return fmt.Errorf("an image without image_url is %w", model.ErrUnsupported)
			}
			parts = append(parts, part{Type: "image_url", ImageURL: &imageURL{URL: p.ImageURL, Detail: p.Detail}})
		case "input_file":
			if p.FileData == "" && p.FileID == "" {
				return fmt.Errorf("a file without file_data or file_id is %w", model.ErrUnsupported)
			}
			parts = append(parts, part{Type: "file", File: &file{Data: p.FileData, ID: p.FileID, Filename: p.Filename}})
		default:
			return fmt.Errorf("content of type %q is %w", p.Type, model.ErrUnsupported)
		}
	}
	m.Content = content(parts)
	t.messages = append(t.messages, m)
	return nil
}

// content is a plain string where there is one text: the form every upstream takes.
func content(parts []part) any {
	switch {
	case len(parts) == 0:
		return ""
	case len(parts) == 1 && parts[0].Text != nil:
		return *parts[0].Text
	}
	return parts
}

// output adds what a call came to behind the call, wherever the client put it: chat completions wants nothing in between.
func (t *thread) output(id, text string) {
	m := message{Role: "tool", ToolCallID: id, Content: text}
	for at, said := range slices.Backward(t.messages) {
		if !slices.ContainsFunc(said.ToolCalls, func(c toolCall) bool { return c.ID == id }) {
			continue
		}
		behind := at + 1
		for behind < len(t.messages) && t.messages[behind].Role == "tool" {
			behind++
		}
		t.messages = slices.Insert(t.messages, behind, m)
		return
	}
	t.messages = append(t.messages, m)
}

// call adds a tool call to the assistant message before it, or to a new one.
func (t *thread) call(id, name, arguments string) {
	if n := len(t.messages); n == 0 || t.messages[n-1].Role != "assistant" {
		t.messages = append(t.messages, message{Role: "assistant"})
	}
	m := &t.messages[len(t.messages)-1]
	if m.Content == "" {
		m.Content = nil
	}
	m.ToolCalls = append(m.ToolCalls, toolCall{
		ID: id, Type: "function", Function: calledByName{Name: name, Arguments: model.Arguments(arguments)},
	})
}

// hostedID makes a call id of an mcp_call's own id, which may be missing.
func (t *thread) hostedID(it item.Item) string {
	if it.ID == "" {
		return fmt.Sprintf("call_hosted_%d", len(t.messages))
	}
	return chain.CallID(it.ID)
}

func outputText(it item.Item) string {
	if text, ok := it.Output(); ok {
		return text
	}
	var b strings.Builder
	for _, p := range it.Parts() {
		b.WriteString(p.Text)
	}
	return b.String()
}
