package compat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/registry"
)

// Apply returns the body with the changes made, and with the extra members that
// it lacks. Of two changes that exclude each other, the later one is made. A
// body that is no JSON object is returned unchanged.
func Apply(r Request, extra registry.Members, changes []Change) []byte {
	var due []Change
	for _, c := range lastOfEach(changes) {
		if c.mayApply(r.Body) {
			due = append(due, c)
		}
	}
	if r.Path != chatPath && r.Path != responsesPath {
		extra = nil
	}
	if len(due) == 0 && len(extra) == 0 {
		return r.Body
	}
	body, err := readObject(r.Body)
	if err != nil {
		return r.Body
	}
	b := editor{body: body, responses: r.responses()}
	for _, c := range due {
		b.apply(c)
	}
	b.addMembers(extra)
	return b.encode()
}

// mayApply is a cheap test: false means that the change would do nothing.
func (c Change) mayApply(body []byte) bool {
	has := func(text string) bool { return bytes.Contains(body, []byte(text)) }
	switch c.Kind {
	case Bound:
		return has(otherBound(c.Name))
	case Role:
		return has(`"developer"`) || c.Name != registry.RoleSystem && (has(`"system"`) || has(`"instructions"`))
	case EmptyText:
		return has(`"tool_calls"`)
	case NineIDs:
		return has(`"tool_call`)
	case ToolNames:
		return has(`"tool_call_id"`)
	case OmitSealed:
		return has("reasoning.encrypted_content")
	}
	return has(c.Name[strings.LastIndexByte(c.Name, '.')+1:])
}

func otherBound(name string) string {
	if name == registry.MaxTokens {
		return registry.MaxCompletionTokens
	}
	return registry.MaxTokens
}

// editor makes changes in a body. Messages are decoded and encoded once.
type editor struct {
	body      object
	messages  []object // of the chat completion; nil until they are read
	responses bool
}

func (e *editor) apply(c Change) {
	switch c.Kind {
	case Omit:
		e.body = omitMember(e.body, c.Name)
	case OmitInTools:
		e.omitInTools(c.Name)
	case OmitInFormat:
		e.omitInFormat(c.Name)
	case OmitSealed:
		e.omitSealed()
	case Bound:
		e.renameBound(c.Name)
	case Role:
		e.changeRoles(c.Name)
	default:
		e.readMessages()
		for i, m := range e.messages {
			e.messages[i] = c.changeMessage(m)
		}
		if c.Kind == ToolNames {
			nameResults(e.messages)
		}
	}
}

func (e *editor) readMessages() {
	if e.messages == nil && !e.responses {
		e.messages = readObjects(e.body.get("messages"))
	}
}

func (e *editor) encode() []byte {
	if e.messages != nil {
		e.body = e.body.set("messages", encodeList(e.messages))
	}
	return e.body.encode()
}

// addMembers adds the members that the body lacks.
func (e *editor) addMembers(extra registry.Members) {
	if len(extra) == 0 {
		return
	}
	more, err := readObject(extra)
	if err != nil {
		return // the registry has checked it
	}
	for _, m := range more {
		if e.body.get(m.name) == nil {
			e.body = append(e.body, m)
		}
	}
}

// omitMember leaves out a member, or one of an object in the body: a.b.
func omitMember(o object, name string) object {
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		return o.without(name)
	}
	in, err := readObject(o.get(outer))
	if err != nil {
		return o
	}
	if in = omitMember(in, inner); len(in) == 0 {
		return o.without(outer)
	}
	return o.set(outer, in.encode())
}

// omitInTools leaves out a member of each function.
func (e *editor) omitInTools(name string) {
	tools := readObjects(e.body.get("tools"))
	if tools == nil {
		return
	}
	for i, t := range tools {
		if e.responses {
			tools[i] = t.without(name)
		} else {
			tools[i] = omitMember(t, "function."+name)
		}
	}
	e.body = e.body.set("tools", encodeList(tools))
}

// omitInFormat leaves out a member of the answer's JSON schema.
func (e *editor) omitInFormat(name string) {
	if e.responses {
		e.body = omitMember(e.body, "text.format."+name)
	} else {
		e.body = omitMember(e.body, "response_format.json_schema."+name)
	}
}

func (e *editor) omitSealed() {
	var all []string
	if json.Unmarshal(e.body.get("include"), &all) != nil {
		return
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "reasoning.encrypted_content" })
	if len(all) == 0 {
		e.body = e.body.without("include")
		return
	}
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = string(quote(s))
	}
	e.body = e.body.set("include", json.RawMessage("["+strings.Join(quoted, ",")+"]"))
}

// renameBound sends the bound of the answer as name, unless the body has both
// names.
func (e *editor) renameBound(name string) {
	other := otherBound(name)
	switch {
	case e.body.get(other) == nil:
	case !e.body.hasValue(name):
		e.body = e.body.without(name).rename(other, name)
	case bytes.Equal(e.body.get(name), e.body.get(other)):
		e.body = e.body.without(other)
	}
}
