package chat

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/rawjson"
)

type message struct {
	Role       string     `json:"role"`
	Content    any        `json:"content"` // a string, parts, or null beside tool calls
	Refusal    string     `json:"refusal,omitempty"`
	ToolCalls  []toolCall `json:"tool_calls,omitempty"`
	ToolCallID string     `json:"tool_call_id,omitempty"`

	thought []reasoning     // what the model thought
	further json.RawMessage // an object of members that the upstream attached
}

type toolCall struct {
	ID       string        `json:"id"`
	Type     string        `json:"type"`
	Function namedFunction `json:"function"`

	key     string          // the call id of the record, which the client knows
	further json.RawMessage // as that of a message
}

type namedFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`

	further json.RawMessage // as that of a message
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

// newMessage returns a message with the content of a message item.
func newMessage(it item.Item) (message, error) {
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
				return m, fmt.Errorf("an image without image_url is %w", model.ErrUnsupported)
			}
			parts = append(parts, part{Type: "image_url", ImageURL: &imageURL{URL: p.ImageURL, Detail: p.Detail}})
		case "input_file":
			if p.FileData == "" && p.FileID == "" {
				return m, fmt.Errorf("a file without file_data or file_id is %w", model.ErrUnsupported)
			}
			parts = append(parts, part{Type: "file", File: &file{Data: p.FileData, ID: p.FileID, Filename: p.Filename}})
		default:
			return m, fmt.Errorf("content of type %q is %w", p.Type, model.ErrUnsupported)
		}
	}
	m.Content = textOrParts(parts)
	return m, nil
}

// textOrParts returns a plain string for a single text, because every upstream
// accepts that form. Empty texts are dropped from lists.
func textOrParts(parts []part) any {
	if len(parts) > 1 {
		parts = slices.DeleteFunc(parts, func(p part) bool { return p.Text != nil && *p.Text == "" })
	}
	switch {
	case len(parts) == 0:
		return ""
	case len(parts) == 1 && parts[0].Text != nil:
		return *parts[0].Text
	}
	return parts
}

// blank reports whether content is empty or white space.
func blank(content any) bool {
	text, ok := content.(string)
	return content == nil || ok && strings.TrimSpace(text) == ""
}

func outputText(it item.Item) string {
	if text, ok := it.Output(); ok {
		return text
	}
	var b strings.Builder
	parts := it.Parts()
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	if len(parts) > 0 && b.Len() == 0 && parts[0].Type != "input_text" {
		return noText
	}
	return b.String()
}

// marshalable returns the values to encode. Messages with attached members use
// their own marshaler, which costs a second pass over the message.
func marshalable(messages []message) []any {
	all := make([]any, len(messages))
	for i := range messages {
		m := &messages[i]
		all[i] = m
		if m.further != nil || m.thought != nil || slices.ContainsFunc(m.ToolCalls, toolCall.extended) {
			all[i] = extended{m}
		}
	}
	return all
}

func (c toolCall) extended() bool { return c.further != nil || c.Function.further != nil }

// extended is a message with attached members.
type extended struct{ *message }

// MarshalJSON encodes the message.
func (e extended) MarshalJSON() ([]byte, error) {
	head := *e.message
	head.ToolCalls = nil
	b, err := json.Marshal(head)
	for i, c := range e.ToolCalls {
		b = appendCall(b, i, c)
	}
	if len(e.ToolCalls) > 0 {
		b = append(b, "]}"...)
	}
	for _, t := range e.thought {
		b = rawjson.AppendQuote(appendName(append(b[:len(b)-1], ','), t.name), t.text)
		b = append(b, '}')
	}
	return extend(b, e.further), err
}

// appendCall appends a call to an encoded message: the first one opens the
// list.
func appendCall(b []byte, i int, c toolCall) []byte {
	if i == 0 {
		b = append(b[:len(b)-1], `,"tool_calls":[`...)
	} else {
		b = append(b, ',')
	}
	b = append(rawjson.AppendQuote(append(b, `{"id":`...), c.ID), `,"type":"function","function":{"name":`...)
	b = append(rawjson.AppendQuote(b, c.Function.Name), `,"arguments":`...)
	b = extend(append(rawjson.AppendQuote(b, c.Function.Arguments), '}'), c.Function.further)
	return extend(append(b, '}'), c.further)
}

// extend appends the members of an object to another encoded object, which must
// not be empty.
func extend(b []byte, further json.RawMessage) []byte {
	if len(further) <= len("{}") {
		return b
	}
	return append(append(b[:len(b)-1], ','), further[1:]...)
}
