package responses

import (
	"encoding/json"
	"strconv"

	"windlass.dev/windlass/pkg/responses/internal/check"
	"windlass.dev/windlass/pkg/responses/internal/raw"
	"windlass.dev/windlass/pkg/responses/internal/schema"
)

// Text is the requested form of the answer. Format is text (or empty),
// json_object or json_schema; only json_schema has a Name, a Schema, a
// Description and Strict.
type Text struct {
	Format      string
	Name        string
	Description string
	Schema      json.RawMessage
	Strict      *bool
	Verbosity   string
}

func (c *Create) readTextForm(v raw.Value) (p *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	c.Text = Text{}
	if f := v.Field("format"); f.IsSet() {
		if p := c.Text.readFormat(f); p != nil {
			return p.In("format")
		}
	}
	if verbosity := v.Field("verbosity"); verbosity.IsSet() {
		c.Text.Verbosity, p = check.Enum(verbosity, "low", "medium", "high")
	}
	return p.In("verbosity")
}

func (t *Text) readFormat(v raw.Value) (p *check.Problem) {
	if p := check.Type(v, raw.Object); p != nil {
		return p
	}
	typ := v.Field("type")
	if !typ.IsSet() {
		return check.Absent("type")
	}
	if t.Format, p = check.Enum(typ, "json_object", "json_schema", "text"); p != nil || t.Format != "json_schema" {
		return p.In("type")
	}
	name, form := v.Field("name"), v.Field("schema")
	switch {
	case !name.IsSet():
		return check.Absent("name")
	case !form.IsSet():
		return check.Absent("schema")
	}
	if t.Name, p = check.Name(name); p != nil {
		return p.In("name")
	}
	if d := v.Field("description"); d.IsSet() {
		if t.Description, p = check.String(d, 0); p != nil {
			return p.In("description")
		}
	}
	if s := v.Field("strict"); s.IsSet() {
		t.Strict = new(bool)
		if *t.Strict, p = check.Bool(s); p != nil {
			return p.In("strict")
		}
	}
	return t.readSchema(form)
}

func (t *Text) readSchema(form raw.Value) *check.Problem {
	if p := check.Type(form, raw.Object); p != nil {
		return p.In("schema")
	}
	t.Schema = json.RawMessage(form)
	if reason := schema.Fault(form, t.Strict != nil && *t.Strict); reason != "" {
		return check.Refuse("schema", "invalid_json_schema",
			"Invalid schema for response_format '"+t.Name+"': "+reason)
	}
	return nil
}

// schemaFault returns why the schema is invalid or refused in strict mode.
func (t *Text) schemaFault() *check.Problem {
	reason := schema.Invalid(raw.Value(t.Schema))
	if reason == "" && t.Strict != nil && *t.Strict {
		reason = schema.Unfit(raw.Value(t.Schema))
	}
	if reason == "" {
		return nil
	}
	return check.Refuse("schema", "invalid_json_schema", "Invalid schema for response_format '"+t.Name+"': "+reason)
}

// AppendEcho appends the form as responses echo it. An absent verbosity is left
// out, and the schema is always null: the specification allows no other value
// for either.
func (t Text) AppendEcho(b []byte) []byte {
	b = append(b, `{"format":{"type":`...)
	switch t.Format {
	case "json_schema":
		b = append(b, `"json_schema","name":`...)
		b = raw.AppendText(b, t.Name)
		b = append(b, `,"description":`...)
		b = raw.AppendTextOrNull(b, t.Description)
		b = append(b, `,"schema":null,"strict":`...)
		b = strconv.AppendBool(b, t.Strict != nil && *t.Strict)
	case "json_object":
		b = append(b, `"json_object"`...)
	default:
		b = append(b, `"text"`...)
	}
	b = append(b, '}')
	if t.Verbosity != "" {
		b = append(b, `,"verbosity":`...)
		b = raw.AppendText(b, t.Verbosity)
	}
	return append(b, '}')
}
