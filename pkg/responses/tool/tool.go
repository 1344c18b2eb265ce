// Package tool holds the tools of a request and the client's choice among them.
//
// Functions are checked and typed. Every other type of tool is kept as it came:
// the service that runs tools decides which types exist, and a request is never
// refused for an unknown one. Both alias the request's text and are safe for
// concurrent use.
package tool

import (
	"encoding/json"
	"strconv"

	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/internal/schema"
)

// Function is the type of the tools that the client runs itself.
const Function = "function"

// most bounds the tools of a request.
const most = 128

// Tool is one tool that the model may call. Name is empty for types without
// one; ServerLabel is for the type mcp.
type Tool struct {
	Type        string
	Name        string
	ServerLabel string
	Description string
	Parameters  json.RawMessage // a JSON Schema; nil if not given
	Strict      *bool           // nil if not given

	raw raw.Value
}

// ReadList reads the tools of a request. For package responses.
func ReadList(v raw.Value) ([]Tool, *check.Problem) {
	if p := check.List(v, most); p != nil {
		return nil, p
	}
	tools := make([]Tool, 0, 4)
	for i, e := range v.Elements() {
		t, p := read(e)
		if p != nil {
			return nil, p.At(i)
		}
		tools = append(tools, t)
	}
	return tools, nil
}

func read(v raw.Value) (Tool, *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return Tool{}, p
	}
	typ := v.Field("type")
	if !typ.IsSet() {
		return Tool{}, check.Absent("type")
	}
	name, p := check.String(typ, 0)
	if p != nil {
		return Tool{}, p.In("type")
	}
	t := Tool{Type: name, raw: v}
	if t.Type != Function {
		t.Name, t.ServerLabel = v.Field("name").Text(), v.Field("server_label").Text()
		t.Description = v.Field("description").Text()
		return t, nil
	}
	for key, m := range v.Members() {
		if !m.IsSet() {
			continue
		}
		if p := t.set(string(key), m); p != nil {
			return Tool{}, p.In(string(key))
		}
	}
	if t.Name == "" {
		return Tool{}, check.Absent("name")
	}
	if p := t.fault(); p != nil {
		return Tool{}, p
	}
	return t, nil
}

func (t *Tool) set(key string, v raw.Value) (p *check.Problem) {
	switch key {
	case "name":
		t.Name, p = check.Name(v)
	case "description":
		t.Description, p = check.String(v, 0)
	case "parameters":
		t.Parameters, p = json.RawMessage(v), check.Type(v, raw.Object)
	case "strict":
		var strict bool
		strict, p = check.Bool(v)
		t.Strict = &strict
	}
	return p
}

func (t *Tool) fault() *check.Problem {
	if t.Parameters == nil {
		return nil
	}
	reason := schema.Fault(raw.Value(t.Parameters), t.Strict != nil && *t.Strict)
	if reason == "" {
		return nil
	}
	return check.Refuse("parameters", "invalid_function_parameters",
		"Invalid schema for function '"+t.Name+"': "+reason)
}

// SchemaFault returns the error of parameters that are not a valid schema, or
// not one for strict mode. For package responses.
func (t Tool) SchemaFault() *check.Problem {
	reason := schema.Invalid(raw.Value(t.Parameters))
	if reason == "" && t.Parameters != nil && t.Strict != nil && *t.Strict {
		reason = schema.Unfit(raw.Value(t.Parameters))
	}
	if reason == "" {
		return nil
	}
	return check.Refuse("parameters", "invalid_function_parameters",
		"Invalid schema for function '"+t.Name+"': "+reason)
}

// Inside returns the tools of a namespace.
func (t Tool) Inside() []Ref {
	var all []Ref
	for _, e := range t.raw.Field("tools").Elements() {
		all = append(all, Ref{Type: e.Field("type").Text(), Name: e.Field("name").Text()})
	}
	return all
}

// JSON returns the tool as the client sent it, credentials included.
func (t Tool) JSON() json.RawMessage { return json.RawMessage(t.raw) }

// AppendEcho appends the tool as responses echo it. A function has description,
// parameters and strict even if they are null; the credentials of other tools
// (authorization and headers) are left out.
func (t Tool) AppendEcho(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = raw.AppendText(b, t.Type)
	if t.Type == Function {
		b = append(b, `,"name":`...)
		b = raw.AppendText(b, t.Name)
		b = append(b, `,"description":`...)
		b = raw.AppendTextOrNull(b, t.Description)
		b = append(b, `,"parameters":`...)
		if t.Parameters == nil {
			b = append(b, "null"...)
		}
		b = append(b, t.Parameters...)
		b = append(b, `,"strict":`...)
		if t.Strict == nil {
			b = append(b, "null"...)
		} else {
			b = strconv.AppendBool(b, *t.Strict)
		}
	}
	for key, m := range t.raw.Members() {
		if t.echoed(string(key)) || !m.IsSet() {
			continue
		}
		b = append(b, ',')
		b = raw.AppendText(b, string(key))
		b = append(b, ':')
		b = append(b, m...)
	}
	return append(b, '}')
}

// echoed reports whether AppendEcho treats that key apart.
func (t Tool) echoed(key string) bool {
	switch key {
	case "type":
		return true
	case "name", "description", "parameters", "strict":
		return t.Type == Function
	case "authorization", "headers":
		return true
	}
	return false
}
