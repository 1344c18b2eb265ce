package script

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"

	"windlass.dev/windlass/services/mock/internal/fault"
)

// Describe lists every member of a plan and of a fault with its type, default
// and meaning, from the structs' tags, for a help text.
func Describe() string {
	var out strings.Builder
	describe(&out, reflect.TypeFor[Plan]())
	out.WriteString("\nThe members of a fault, in model_faults and tool_faults; " +
		"the first one that matches happens:\n\n")
	describe(&out, reflect.TypeFor[fault.Fault]())
	out.WriteString("\nThe modes of a fault:\n\n")
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, m := range fault.Modes() {
		name := m.Name
		if name == "" {
			name = `""`
		}
		fmt.Fprintf(table, "  %s\t%s\n", name, m.Help)
	}
	_ = table.Flush() // writes to memory
	return out.String()
}

func describe(out *strings.Builder, of reflect.Type) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range of.NumField() {
		f := of.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		text := f.Tag.Get("help")
		if d := f.Tag.Get("default"); d != "" {
			text += " (default: " + d + ")"
		} else {
			text += " (default: " + zero(f.Type) + ")"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", name, typeName(f.Type), text)
	}
	_ = table.Flush() // writes to memory
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Struct:
		return strings.ToLower(t.Name())
	case reflect.Bool:
		return "boolean"
	case reflect.Float64:
		return "number"
	case reflect.Int, reflect.Int64:
		return "integer"
	}
	return t.Kind().String()
}

func zero(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "false"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "0"
	}
	return "none"
}
