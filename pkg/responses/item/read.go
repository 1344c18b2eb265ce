package item

import (
	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// maxText is the longest text that OpenAI's API takes, in characters.
const maxText = 10_485_760

// labels holds the strings that most items consist of, so that reading them
// does not allocate.
var labels = func() map[string]string {
	m := map[string]string{}
	for _, s := range []string{
		"message", "function_call", "function_call_output", "reasoning", "mcp_call", "mcp_list_tools", "item_reference", "compaction",
		"user", "assistant", "system", "developer", "in_progress", "completed", "incomplete",
		"input_text", "output_text", "summary_text", "reasoning_text", "refusal", "input_image", "input_file",
	} {
		m[s] = s
	}
	return m
}()

func label(v raw.Value) string {
	if v.Kind() != raw.String {
		return ""
	}
	if s, ok := labels[string(v[1:len(v)-1])]; ok {
		return s
	}
	return v.Text()
}

// ReadList reads an array of items out of checked JSON. For package responses.
func ReadList(v raw.Value) ([]Item, *check.Problem) {
	if p := check.Type(v, raw.Array); p != nil {
		return nil, p
	}
	items := make([]Item, 0, 4)
	for i, e := range v.Elements() {
		it, p := Read(e)
		if p != nil {
			return nil, p.At(i)
		}
		items = append(items, it)
	}
	return items, nil
}

// members are the raw fields of an item that are read.
type members struct {
	typ, id, status, role, content, callID, name, server, arguments, output, summary, encrypted raw.Value
}

func (f *members) set(key []byte, v raw.Value) {
	switch string(key) {
	case "type":
		f.typ = v
	case "id":
		f.id = v
	case "status":
		f.status = v
	case "role":
		f.role = v
	case "content":
		f.content = v
	case "call_id":
		f.callID = v
	case "name":
		f.name = v
	case "server_label":
		f.server = v
	case "arguments":
		f.arguments = v
	case "output":
		f.output = v
	case "summary":
		f.summary = v
	case "encrypted_content":
		f.encrypted = v
	}
}

// Read reads one item out of checked JSON. For package responses.
func Read(v raw.Value) (Item, *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return Item{}, p
	}
	var f members
	for key, m := range v.Members() {
		f.set(key, m)
	}
	typ, p := f.typeName()
	if p != nil {
		return Item{}, p
	}
	if p := f.fault(typ); p != nil {
		return Item{}, p
	}
	return Item{
		Type: typ, ID: f.id.Text(), Status: label(f.status), Role: label(f.role),
		CallID: f.callID.Text(), Name: f.name.Text(), ServerLabel: f.server.Text(), raw: v,
	}, nil
}

func (f *members) typeName() (string, *check.Problem) {
	switch {
	case f.typ.IsSet():
		return label(f.typ), check.Type(f.typ, raw.String).In("type")
	case f.id.IsSet() && !f.role.IsSet() && !f.content.IsSet():
		return "item_reference", nil
	}
	return "message", nil
}

// fault checks the fields that an item of that type has.
func (f *members) fault(typ string) *check.Problem {
	if p := optional("id", f.id); p != nil {
		return p
	}
	switch typ {
	case "message":
		return f.messageFault()
	case "function_call":
		return first(required("call_id", f.callID), required("name", f.name), required("arguments", f.arguments))
	case "function_call_output":
		return first(required("call_id", f.callID), contentFault("output", f.output))
	case "reasoning":
		return first(partsFault("summary", f.summary), partsFault("content", f.content),
			optional("encrypted_content", f.encrypted))
	case "mcp_call":
		return first(required("server_label", f.server), required("name", f.name),
			required("arguments", f.arguments), optional("output", f.output))
	case "item_reference":
		return required("id", f.id)
	case "compaction":
		return required("encrypted_content", f.encrypted)
	}
	return nil
}

func (f *members) messageFault() *check.Problem {
	if !f.role.IsSet() {
		return check.Absent("role")
	}
	if _, p := check.Enum(f.role, "assistant", "system", "developer", "user"); p != nil {
		return p.In("role")
	}
	return contentFault("content", f.content)
}

func first(problems ...*check.Problem) *check.Problem {
	for _, p := range problems {
		if p != nil {
			return p
		}
	}
	return nil
}

func required(name string, v raw.Value) *check.Problem {
	if len(v) == 0 {
		return check.Absent(name)
	}
	return check.Text(v, maxText).In(name)
}

func optional(name string, v raw.Value) *check.Problem {
	if !v.IsSet() {
		return nil
	}
	return check.Text(v, maxText).In(name)
}

// contentFault checks a required text or array of parts.
func contentFault(name string, v raw.Value) *check.Problem {
	switch v.Kind() {
	case raw.Missing:
		return check.Absent(name)
	case raw.String:
		return check.Text(v, maxText).In(name)
	case raw.Array:
		return partsFault(name, v)
	}
	return check.WrongType(v, "one of an array of objects or string").In(name)
}

// partsFault checks an optional array of parts.
func partsFault(name string, v raw.Value) *check.Problem {
	if !v.IsSet() {
		return nil
	}
	if p := check.Type(v, raw.Array); p != nil {
		return p.In(name)
	}
	for i, e := range v.Elements() {
		if p := partFault(e); p != nil {
			return p.At(i).In(name)
		}
	}
	return nil
}
