package registry

import (
	"reflect"
	"slices"
	"strings"

	"windlass.dev/windlass/pkg/suggest"
)

// correct adds to a fault of the YAML decoder, in the entry at path, what was
// probably meant.
func correct(path, reason string) string {
	if strings.Contains(reason, "found character '\t'") {
		return "begins with a tab; YAML is indented with spaces"
	}
	name, found := strings.CutPrefix(reason, `unknown field "`)
	if !found {
		return reason
	}
	part, _, _ := strings.Cut(path, "[")
	if meant := suggest.Names(strings.TrimSuffix(name, `"`), fields[part]); len(meant) > 0 {
		return reason + ", did you mean " + meant[0] + "?"
	}
	return reason
}

// fields are the names of all fields in each part of a registry file.
var fields = map[string][]string{
	"models":  fieldsOf(reflect.TypeFor[Model](), nil),
	"tools":   fieldsOf(reflect.TypeFor[Tool](), nil),
	"limits":  fieldsOf(reflect.TypeFor[Limits](), nil),
	"tenants": fieldsOf(reflect.TypeFor[Tenant](), nil),
}

func fieldsOf(t reflect.Type, known []string) []string {
	for t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return known
	}
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name != "" && !slices.Contains(known, name) {
			known = append(known, name)
		}
		if field.IsExported() {
			known = fieldsOf(field.Type, known)
		}
	}
	return known
}
