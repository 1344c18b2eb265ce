package tool

import (
	"slices"

	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Ref names a tool, or all tools of a server if it has only a ServerLabel. A
// Type alone names a hosted tool.
type Ref struct {
	Type        string
	Name        string
	ServerLabel string
}

// Choice is tool_choice. It is one of three: a Mode alone (none, auto,
// required); a Tool that must be called; a Mode (auto, required) with the tools
// that are Allowed (not nil, but possibly empty), which the server enforces.
// The zero Choice is auto.
type Choice struct {
	Mode    string
	Tool    *Ref
	Allowed []Ref

	raw     raw.Value // what the client sent for Tool
	allowed []raw.Value
}

// ReadChoice reads tool_choice. For package responses.
func ReadChoice(v raw.Value) (Choice, *check.Problem) {
	switch v.Kind() {
	case raw.String:
		mode, p := check.Enum(v, "none", "auto", "required")
		return Choice{Mode: mode}, p
	case raw.Object:
	default:
		return Choice{}, check.WrongType(v, "one of a string or object")
	}
	ref, p := readRef(v)
	if p != nil {
		return Choice{}, p
	}
	if ref.Type == "allowed_tools" {
		return readAllowed(v)
	}
	return Choice{Tool: &ref, raw: v}, nil
}

func readRef(v raw.Value) (ref Ref, p *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return ref, p
	}
	for key, m := range v.Members() {
		if !m.IsSet() {
			continue
		}
		switch string(key) {
		case "type":
			ref.Type, p = check.String(m, 0)
		case "name":
			ref.Name, p = check.String(m, 0)
		case "server_label":
			ref.ServerLabel, p = check.String(m, 0)
		}
		if p != nil {
			return ref, p.In(string(key))
		}
	}
	switch {
	case ref.Type == "":
		return ref, check.Absent("type")
	case ref.Type == Function && ref.Name == "":
		return ref, check.Absent("name")
	case ref.Type == "mcp" && ref.ServerLabel == "":
		return ref, check.Absent("server_label")
	}
	return ref, nil
}

func readAllowed(v raw.Value) (Choice, *check.Problem) {
	c := Choice{Mode: "auto", Allowed: []Ref{}}
	if mode := v.Field("mode"); mode.IsSet() {
		var p *check.Problem
		if c.Mode, p = check.Enum(mode, "auto", "required", "none"); p != nil {
			return c, p.In("mode")
		}
	}
	tools := v.Field("tools")
	if !tools.IsSet() {
		return c, check.Absent("tools")
	}
	if p := check.List(tools, most); p != nil {
		return c, p.In("tools")
	}
	for i, e := range tools.Elements() {
		ref, p := readRef(e)
		if p != nil {
			return c, p.At(i).In("tools")
		}
		c.Allowed = append(c.Allowed, ref)
		c.allowed = append(c.allowed, e)
	}
	return c, nil
}

// Fault returns the error of a choice that names a tool which the request does
// not have, or that requires a call without tools. For package responses.
func (c Choice) Fault(tools []Tool) *check.Problem {
	absent := func(ref Ref) *check.Problem {
		if slices.ContainsFunc(tools, ref.names) {
			return nil
		}
		return check.Refuse("", "", "Tool choice '"+check.Excerpt(ref.label())+"' not found in 'tools' parameter.")
	}
	if c.Tool != nil {
		return absent(*c.Tool)
	}
	if c.Mode == "required" && len(tools) == 0 {
		return check.Refuse("", "", "Tool choice 'required' must be specified with 'tools' parameter.")
	}
	if c.Allowed != nil && len(c.Allowed) == 0 {
		return check.OutOfRange("array_below_min_length", "array too short",
			"an array with minimum length 1", "an array with length 0").In("tools")
	}
	for _, ref := range c.Allowed {
		if p := absent(ref); p != nil {
			return p
		}
	}
	return nil
}

// names reports whether the reference is to that tool, or to one inside it.
func (r Ref) names(t Tool) bool {
	switch {
	case t.Type == "namespace":
		if slices.Contains(t.Inside(), Ref{Type: r.Type, Name: r.Name}) {
			return true
		}
		return r.Type == t.Type && r.Name == t.Name
	case t.Type != r.Type:
		return false
	case t.Type == "mcp":
		return t.ServerLabel == r.ServerLabel
	}
	return t.Name == r.Name
}

// label is the name of a choice in messages.
func (r Ref) label() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.ServerLabel != "":
		return r.ServerLabel
	}
	return r.Type
}

// AppendEcho appends the choice as responses echo it.
func (c Choice) AppendEcho(b []byte) []byte {
	switch {
	case c.Tool != nil:
		return append(b, c.raw...)
	case c.Allowed == nil && c.Mode == "":
		return append(b, `"auto"`...)
	case c.Allowed == nil:
		return raw.AppendText(b, c.Mode)
	}
	b = append(b, `{"type":"allowed_tools","mode":`...)
	b = raw.AppendText(b, c.Mode)
	b = append(b, `,"tools":[`...)
	for i, e := range c.allowed {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, e...)
	}
	return append(b, `]}`...)
}
