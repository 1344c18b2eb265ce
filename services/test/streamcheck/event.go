package streamcheck

import (
	"encoding/json"
	"strings"
)

// event has the members that the checker reads. A raw member is nil only if it
// is absent.
type event struct {
	Type         string          `json:"type"`
	Sequence     *int64          `json:"sequence_number"`
	Response     json.RawMessage `json:"response"`
	Item         json.RawMessage `json:"item"`
	Part         json.RawMessage `json:"part"`
	Error        json.RawMessage `json:"error"`
	ItemID       *string         `json:"item_id"`
	OutputIndex  *int            `json:"output_index"`
	ContentIndex *int            `json:"content_index"`
	SummaryIndex *int            `json:"summary_index"`
	Delta        *string         `json:"delta"`
	Text         *string         `json:"text"`
	Refusal      *string         `json:"refusal"`
	Arguments    *string         `json:"arguments"`
	Input        *string         `json:"input"`
	Message      *string         `json:"message"`
	Status       *int            `json:"status"`
}

// response has the checked members of the response object.
type response struct {
	ID     string            `json:"id"`
	Status string            `json:"status"`
	Output []json.RawMessage `json:"output"`
	Tools  []tool            `json:"tools"` // nil only if it is absent
}

type tool struct {
	Type string `json:"type"`
}

// itemJSON has the checked members of an item.
type itemJSON struct {
	Type      string            `json:"type"`
	ID        string            `json:"id"`
	Status    string            `json:"status"`
	Arguments *string           `json:"arguments"`
	Input     *string           `json:"input"`
	Content   []json.RawMessage `json:"content"`
	Summary   []json.RawMessage `json:"summary"`
	Tools     []json.RawMessage `json:"tools"`
	Error     json.RawMessage   `json:"error"`
}

// text returns the text that the deltas of a call must make.
func (it itemJSON) text() string {
	text := it.Arguments
	if it.Type == "custom_tool_call" {
		text = it.Input
	}
	if text == nil {
		return ""
	}
	return *text
}

// partJSON has the checked members of a content part.
type partJSON struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	Refusal string `json:"refusal"`
}

// content returns the part's text, from the member of its kind.
func (p partJSON) content() string {
	if p.Type == "refusal" {
		return p.Refusal
	}
	return p.Text
}

type handler func(*checker, *event)

// handlers has the events with a rule of their own.
var handlers = map[string]handler{
	"response.created":     (*checker).lifecycleEvent,
	"response.queued":      (*checker).lifecycleEvent,
	"response.in_progress": (*checker).lifecycleEvent,
	"response.completed":   (*checker).lifecycleEvent,
	"response.incomplete":  (*checker).lifecycleEvent,
	"response.failed":      (*checker).lifecycleEvent,
	"error":                (*checker).checkError,

	"response.output_item.added": (*checker).itemAdded,
	"response.output_item.done":  (*checker).itemDone,

	"response.content_part.added":           partAdded(content),
	"response.content_part.done":            partDone(content),
	"response.reasoning_summary_part.added": partAdded(summary),
	"response.reasoning_summary_part.done":  partDone(summary),

	"response.output_text.delta":            textDelta(content, "output_text"),
	"response.output_text.done":             textDone(content, "output_text"),
	"response.output_text.annotation.added": textDelta(content, "output_text"),
	"response.refusal.delta":                textDelta(content, "refusal"),
	"response.refusal.done":                 textDone(content, "refusal"),
	"response.reasoning.delta":              textDelta(content, "reasoning_text"),
	"response.reasoning.done":               textDone(content, "reasoning_text"),
	"response.reasoning_text.delta":         textDelta(content, "reasoning_text"),
	"response.reasoning_text.done":          textDone(content, "reasoning_text"),
	"response.reasoning_summary_text.delta": textDelta(summary, "summary_text"),
	"response.reasoning_summary_text.done":  textDone(summary, "summary_text"),

	"response.function_call_arguments.delta": argumentsDelta("function_call"),
	"response.function_call_arguments.done":  argumentsDone("function_call"),
	"response.mcp_call_arguments.delta":      argumentsDelta("mcp_call"),
	"response.mcp_call_arguments.done":       argumentsDone("mcp_call"),
	"response.custom_tool_call_input.delta":  argumentsDelta("custom_tool_call"),
	"response.custom_tool_call_input.done":   argumentsDone("custom_tool_call"),
}

// hosted maps the prefixes of the progress events of hosted tools to their
// items.
var hosted = map[string]string{
	"mcp_call": "mcp_call", "mcp_list_tools": "mcp_list_tools",
	"web_search_call": "web_search_call", "file_search_call": "file_search_call",
	"code_interpreter_call": "code_interpreter_call", "code_interpreter_call_code": "code_interpreter_call",
	"image_generation_call": "image_generation_call",
	"shell_call_command":    "shell_call", "shell_call_output_content": "shell_call_output",
}

// other checks an event without a handler: the progress of a hosted tool, or a
// vendor's event, whose type has a colon.
func (c *checker) other(e *event) {
	if strings.Contains(e.Type, ":") {
		return
	}
	call, what, _ := strings.Cut(strings.TrimPrefix(e.Type, "response."), ".")
	kind, known := hosted[call]
	if !known || what == "" {
		c.report("order", "%q is no event", e.Type)
		return
	}
	if c.plain && strings.HasPrefix(call, "mcp_") {
		c.report("list", "%s comes in the stream of a request that names no tool server", e.Type)
	}
	if it := c.open(e, kind); it != nil {
		c.progress(it, e.Type, what)
	}
}
