package item

import (
	"encoding/json"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Item is one item. Fields that its type does not have are empty. Type is never
// empty: an item without one is a message, or a reference if it has only an id.
type Item struct {
	Type        string
	ID          string
	Status      string
	Role        string // message
	CallID      string // function_call, custom_tool_call and their outputs
	Name        string // function_call, custom_tool_call, mcp_call
	ServerLabel string // mcp_call, mcp_list_tools

	raw raw.Value
}

// Parse reads one item, as JSON returned it or as a client sent it. The error's
// Param is relative to the item.
func Parse(b []byte) (Item, *fault.Error) {
	v, err := check.Parse(b)
	if err != nil {
		return Item{}, err
	}
	it, problem := Read(v)
	return it, problem.Fault()
}

// List reads an array of items. param is the path of the array in the request
// and starts the error's Param: input gives input[0].role.
func List(b []byte, param string) ([]Item, *fault.Error) {
	v, err := check.Parse(b)
	if err != nil {
		return nil, err
	}
	items, problem := ReadList(v)
	return items, problem.In(param).Fault()
}

// JSON returns the item as it came or was built. Do not change it.
func (i Item) JSON() json.RawMessage { return json.RawMessage(i.raw) }

// MarshalJSON returns JSON, or null for the zero Item.
func (i Item) MarshalJSON() ([]byte, error) {
	if i.raw == nil {
		return []byte("null"), nil
	}
	return i.raw, nil
}

// Arguments returns the JSON text that the model wrote for a function_call or
// mcp_call. It may be invalid JSON.
func (i Item) Arguments() string { return i.raw.Field("arguments").Text() }

// Namespace returns the namespace of the tool that a function_call or
// custom_tool_call names.
func (i Item) Namespace() string { return i.raw.Field("namespace").Text() }

// Input returns the text that the model wrote for a custom_tool_call.
func (i Item) Input() string { return i.raw.Field("input").Text() }

// Encrypted returns the encrypted_content of a reasoning or compaction item.
func (i Item) Encrypted() string { return i.raw.Field("encrypted_content").Text() }

// Summary returns the texts of a reasoning item's summary.
func (i Item) Summary() []string {
	var texts []string
	for _, part := range i.raw.Field("summary").Elements() {
		texts = append(texts, part.Field("text").Text())
	}
	return texts
}

// Parts returns the content of a message or reasoning item, or the output of a
// function_call_output. A plain string is one part: output_text if the
// assistant wrote it, else input_text.
func (i Item) Parts() []Part {
	v := i.raw.Field("content")
	if i.Type == "function_call_output" {
		v = i.raw.Field("output")
	}
	if v.Kind() == raw.String {
		return []Part{{Type: i.plainPart(), Text: v.Text()}}
	}
	var parts []Part
	for _, e := range v.Elements() {
		parts = append(parts, readPart(e))
	}
	return parts
}

func (i Item) plainPart() string {
	if i.Role == "assistant" {
		return "output_text"
	}
	return "input_text"
}

// Output returns the output of a function_call_output or mcp_call if it is
// plain text; ok is false if it consists of parts or is absent.
func (i Item) Output() (text string, ok bool) {
	v := i.raw.Field("output")
	return v.Text(), v.Kind() == raw.String
}

// Error returns the message of a failed mcp_call, else "".
func (i Item) Error() string {
	v := i.raw.Field("error")
	switch {
	case v.Kind() == raw.String:
		return v.Text()
	case v.Field("message").IsSet():
		return v.Field("message").Text()
	}
	for _, part := range v.Field("content").Elements() {
		if text := part.Field("text").Text(); text != "" {
			return text
		}
	}
	return ""
}
