package schema

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// Invalid returns why v is not a JSON Schema, or "" if it is one, or missing.
// Keywords must have values of their kind in one of the drafts from 4 on, and
// references to definitions of the schema must resolve. Unknown keywords and
// formats are allowed, and patterns are not parsed.
func Invalid(v raw.Value) string {
	if v.Kind() == raw.Missing {
		return ""
	}
	w := walk{root: v}
	f := w.schema(v, 0)
	if f == nil {
		return ""
	}
	slices.Reverse(f.path)
	return fmt.Sprintf("In context=(%s), %s", strings.Join(f.path, ", "), f.reason)
}

// fault is an error in a schema. Its path grows on the way out, from the last
// part to the first, so that it costs nothing until there is a fault.
type fault struct {
	reason string
	path   []string
}

// in prepends the keyword, and the names below it, to the path.
func (f *fault) in(keyword string, under ...string) *fault {
	if f == nil {
		return nil
	}
	for _, u := range under {
		f.path = append(f.path, fmt.Sprintf("'%.64s'", u))
	}
	f.path = append(f.path, "'"+keyword+"'")
	return f
}

func faultf(format string, args ...any) *fault { return &fault{reason: fmt.Sprintf(format, args...)} }

// walk checks the schemas of one root.
type walk struct {
	root raw.Value
	defs map[string]map[string]bool // the names of the root's definitions, read on first use
}

// schema checks a schema and those inside it, down to deepest.
func (w *walk) schema(v raw.Value, depth int) *fault {
	if v.Kind() == raw.Bool || depth > deepest {
		return nil
	}
	if v.Kind() != raw.Object {
		return faultf("%.64s is not of type 'object', 'boolean'.", v)
	}
	for key, m := range v.Members() {
		switch ok, known := keywords[string(key)]; {
		case known && !ok(m) && string(key) == "type":
			return faultf("%s is not valid under any of the given schemas.", show(m))
		case known && !ok(m):
			return faultf("%s is not a valid '%s'.", show(m), key)
		case string(key) == "$ref" && !w.resolves(m.Text()):
			return faultf("reference to component '%.64s' which was not found in the schema.", m.Text())
		}
		if f := w.inside(string(key), m, depth+1); f != nil {
			return f
		}
	}
	return nil
}

// inside checks the schemas that the value of a keyword holds.
func (w *walk) inside(keyword string, m raw.Value, depth int) *fault {
	switch keyword {
	case "properties", "patternProperties", "$defs", "definitions", "dependentSchemas":
		for key, sub := range m.Members() {
			if f := w.schema(sub, depth); f != nil {
				return f.in(keyword, string(key))
			}
		}
	case "allOf", "anyOf", "oneOf", "prefixItems", "items":
		for i, sub := range m.Elements() {
			if f := w.schema(sub, depth); f != nil {
				return f.in(keyword, fmt.Sprint(i))
			}
		}
		if keyword == "items" && m.Kind() != raw.Array {
			return w.schema(m, depth).in(keyword)
		}
	case "additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then",
		"unevaluatedItems", "unevaluatedProperties":
		return w.schema(m, depth).in(keyword)
	}
	return nil
}

// resolves reports whether a reference leads to one of the root's definitions,
// or is of another kind, which is not checked. The names are read once, because
// looking up each reference in the text would be quadratic.
func (w *walk) resolves(ref string) bool {
	pointer, ok := strings.CutPrefix(ref, "#/")
	place, rest, under := strings.Cut(pointer, "/")
	if !ok || !under || place != "$defs" && place != "definitions" {
		return true
	}
	if w.defs == nil {
		w.defs = map[string]map[string]bool{"$defs": {}, "definitions": {}}
		for place, names := range w.defs {
			for name := range w.root.Field(place).Members() {
				names[string(name)] = true
			}
		}
	}
	name, _, _ := strings.Cut(rest, "/")
	if decoded, err := url.PathUnescape(name); err == nil {
		name = decoded
	}
	return w.defs[place][pointerEscapes.Replace(name)]
}

var pointerEscapes = strings.NewReplacer("~1", "/", "~0", "~")

func show(v raw.Value) string {
	if v.Kind() == raw.String {
		return fmt.Sprintf("'%.64s'", v.Text())
	}
	return fmt.Sprintf("%.64s", v)
}
