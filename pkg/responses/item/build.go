package item

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Message builds a message. Status is in_progress, completed or incomplete.
func Message(id, role, status string, parts ...Part) Item {
	b := head("message", id, status)
	b = field(b, "role", role)
	b = append(b, `,"content":`...)
	b = appendParts(b, parts)
	return Item{Type: "message", ID: id, Status: status, Role: role, raw: append(b, '}')}
}

// UserText builds a user message as clients send one, without an id.
func UserText(text string) Item {
	b := append([]byte(nil), `{"type":"message","role":"user","content":[{"type":"input_text","text":`...)
	return Item{Type: "message", Role: "user", raw: append(raw.AppendText(b, text), `}]}`...)}
}

// Phased builds an assistant's message with its phase, commentary or
// final_answer, which its model wants to see again.
func Phased(id, status, phase string, parts ...Part) Item {
	it := Message(id, "assistant", status, parts...)
	if phase != "" {
		it.raw = append(field(it.raw[:len(it.raw)-1], "phase", phase), '}')
	}
	return it
}

// Call is a call of a tool, made by the model. CallID is for function calls,
// which the client runs; ServerLabel, Output and Error are for calls of tools
// that ran on the server.
type Call struct {
	ID          string
	Status      string
	CallID      string
	ServerLabel string
	Namespace   string // of a function or a custom tool, if it has one
	Name        string
	Arguments   string
	Output      *string
	Error       string
}

// Function builds a function_call.
func (c Call) Function() Item {
	b := head("function_call", c.ID, c.Status)
	b = field(b, "call_id", c.CallID)
	b = appendNonEmpty(b, "namespace", c.Namespace)
	b = field(b, "name", c.Name)
	b = field(b, "arguments", c.Arguments)
	return Item{
		Type: "function_call", ID: c.ID, Status: c.Status, CallID: c.CallID, Name: c.Name, raw: append(b, '}'),
	}
}

// Custom builds a custom_tool_call, whose arguments are its input: any text.
func (c Call) Custom() Item {
	b := head("custom_tool_call", c.ID, c.Status)
	b = field(b, "call_id", c.CallID)
	b = appendNonEmpty(b, "namespace", c.Namespace)
	b = field(b, "name", c.Name)
	b = field(b, "input", c.Arguments)
	return Item{
		Type: "custom_tool_call", ID: c.ID, Status: c.Status, CallID: c.CallID, Name: c.Name, raw: append(b, '}'),
	}
}

// MCP builds an mcp_call. Status is in_progress, calling, completed, incomplete
// or failed; output and error are null unless given.
func (c Call) MCP() Item {
	b := head("mcp_call", c.ID, c.Status)
	b = field(b, "server_label", c.ServerLabel)
	b = field(b, "name", c.Name)
	b = field(b, "arguments", c.Arguments)
	b = append(b, `,"output":`...)
	if c.Output == nil {
		b = append(b, "null"...)
	} else {
		b = raw.AppendText(b, *c.Output)
	}
	if c.Error == "" {
		b = append(b, `,"error":null`...)
	} else {
		b = append(b, `,"error":{"type":"mcp_tool_execution_error","content":[{"type":"text","text":`...)
		b = raw.AppendText(b, c.Error)
		b = append(b, `}]}`...)
	}
	b = append(b, `,"approval_request_id":null}`...)
	return Item{Type: "mcp_call", ID: c.ID, Status: c.Status, Name: c.Name, ServerLabel: c.ServerLabel, raw: b}
}

// FunctionOutput builds a function_call_output of plain text.
func FunctionOutput(id, callID, status, output string) Item {
	b := head("function_call_output", id, status)
	b = field(b, "call_id", callID)
	b = field(b, "output", output)
	return Item{Type: "function_call_output", ID: id, Status: status, CallID: callID, raw: append(b, '}')}
}

// Reasoning is the reasoning of a model: its text, summaries of it, or a sealed
// form that only its provider can read.
type Reasoning struct {
	ID        string
	Summary   []string
	Text      string
	Encrypted string
}

// Item builds the reasoning item. Content and encrypted_content are left out
// when empty: the specification has no null for them.
func (r Reasoning) Item() Item {
	b := append([]byte(nil), `{"type":"reasoning","id":`...)
	b = raw.AppendText(b, r.ID)
	b = append(b, `,"summary":[`...)
	for i, s := range r.Summary {
		if i > 0 {
			b = append(b, ',')
		}
		b = Part{Type: "summary_text", Text: s}.AppendJSON(b)
	}
	b = append(b, ']')
	if r.Text != "" {
		b = append(b, `,"content":[`...)
		b = Part{Type: "reasoning_text", Text: r.Text}.AppendJSON(b)
		b = append(b, ']')
	}
	if r.Encrypted != "" {
		b = field(b, "encrypted_content", r.Encrypted)
	}
	return Item{Type: "reasoning", ID: r.ID, raw: append(b, '}')}
}

// Compaction builds the item that replaces a history, sealed.
func Compaction(id, encrypted string) Item {
	b := append([]byte(nil), `{"type":"compaction","id":`...)
	b = raw.AppendText(b, id)
	b = field(b, "encrypted_content", encrypted)
	return Item{Type: "compaction", ID: id, raw: append(b, '}')}
}

func head(typ, id, status string) []byte {
	b := append(make([]byte, 0, 256), `{"type":"`...)
	b = append(b, typ...)
	b = append(b, '"')
	b = field(b, "id", id)
	return field(b, "status", status)
}

func field(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return raw.AppendText(b, value)
}

func appendParts(b []byte, parts []Part) []byte {
	b = append(b, '[')
	for i, p := range parts {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.AppendJSON(b)
	}
	return append(b, ']')
}

// AppendJSON appends the part as the API answers it: an output_text has
// annotations and logprobs, an image its URL and detail, even if they are
// empty.
func (p Part) AppendJSON(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = raw.AppendText(b, p.Type)
	switch p.Type {
	case "refusal":
		b = field(b, "refusal", p.Text)
	case "input_image":
		b = append(b, `,"image_url":`...)
		b = raw.AppendTextOrNull(b, p.ImageURL)
		b = field(b, "detail", orElse(p.Detail, "auto"))
		b = appendNonEmpty(b, "file_id", p.FileID)
	case "input_file":
		b = appendNonEmpty(b, "filename", p.Filename)
		b = appendNonEmpty(b, "file_data", p.FileData)
		b = appendNonEmpty(b, "file_url", p.FileURL)
		b = appendNonEmpty(b, "file_id", p.FileID)
	case "output_text":
		b = field(b, "text", p.Text)
		b = append(append(b, `,"annotations":`...), list(p.Annotations)...)
		b = append(append(b, `,"logprobs":`...), list(p.Logprobs)...)
	default:
		b = field(b, "text", p.Text)
	}
	return append(b, '}')
}

func appendNonEmpty(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return field(b, name, value)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func list(m json.RawMessage) json.RawMessage {
	if raw.Value(m).Kind() != raw.Array {
		return json.RawMessage("[]")
	}
	return m
}
