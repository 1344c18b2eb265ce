package item

import (
	"bytes"
	"encoding/json"
	"reflect"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Listed is a tool in a list of a server's tools.
type Listed struct {
	Name        string
	Description string
	Schema      json.RawMessage // of its arguments, valid; nil: any object
}

// ToolList builds an mcp_list_tools item: the tools of a server. Absent fields
// are left out, as in OpenAI's API, because some clients refuse null.
func ToolList(id, serverLabel string, tools []Listed) Item {
	b := append(make([]byte, 0, 512), `{"type":"mcp_list_tools"`...)
	b = field(b, "id", id)
	b = field(b, "server_label", serverLabel)
	b = append(b, `,"tools":[`...)
	for i, t := range tools {
		if i > 0 {
			b = append(b, ',')
		}
		b = t.append(b)
	}
	b = append(b, `]}`...)
	return Item{Type: "mcp_list_tools", ID: id, ServerLabel: serverLabel, raw: b}
}

func (t Listed) append(b []byte) []byte {
	b = append(b, `{"name":`...)
	b = raw.AppendText(b, t.Name)
	b = appendNonEmpty(b, "description", t.Description)
	b = append(b, `,"input_schema":`...)
	out := bytes.NewBuffer(b)
	if t.Schema == nil || json.Compact(out, t.Schema) != nil { // an item is on one line
		out.WriteString(`{"type":"object","properties":{}}`)
	}
	return append(out.Bytes(), '}')
}

// SameTools reports whether two mcp_list_tools items have the same tools with
// the same descriptions and schemas, in the same order. Their spelling as JSON
// does not matter.
func (i Item) SameTools(other Item) bool {
	mine, ok := i.tools()
	theirs, okToo := other.tools()
	return ok && okToo && reflect.DeepEqual(mine, theirs)
}

type listed struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Schema      any    `json:"input_schema"`
}

func (i Item) tools() ([]listed, bool) {
	tools := []listed{}
	if i.Type != "mcp_list_tools" || json.Unmarshal(i.raw.Field("tools"), &tools) != nil {
		return nil, false
	}
	return tools, true
}
