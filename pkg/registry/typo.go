package registry

import (
	"reflect"
	"slices"
	"strings"
)

// correct adds to a fault of the YAML decoder what was probably meant.
func correct(reason string) string {
	if strings.Contains(reason, "found character '\t'") {
		return "begins with a tab; YAML is indented with spaces"
	}
	name, found := strings.CutPrefix(reason, `unknown field "`)
	if !found {
		return reason
	}
	if near := nearest(strings.TrimSuffix(name, `"`), fields); near != "" {
		return reason + ", did you mean " + near + "?"
	}
	return reason
}

// fields are the names of all fields of a registry file.
var fields = fieldsOf(reflect.TypeFor[File](), nil)

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
