package openapitest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Event holds a streamed event against the schema that the document has for its
// type.
func Event(tb testing.TB, text []byte) error {
	tb.Helper()
	return read(tb).checkEvent(text)
}

func (d *document) checkEvent(text []byte) error {
	var e struct{ Type string }
	if err := json.Unmarshal(text, &e); err != nil {
		return fmt.Errorf("read an event: %w", err)
	}
	name, ok := d.events[e.Type]
	if !ok {
		return fmt.Errorf("the event %q is %w", e.Type, errUndescribed)
	}
	schema, err := d.compile(schemas + name)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		return err
	}
	return schema.Validate(v)
}

const schemas = "#/components/schemas/"

// readEvents finds the schemas of the events of a stream by the types that they
// are for.
func (d *document) readEvents() {
	all := d.child(d.child(node{d.root, "#"}, "components"), "schemas")
	for _, ref := range member[[]any](d.child(all, "ResponseStreamEvent").object, "anyOf") {
		name := strings.TrimPrefix(member[string](ref.(object), "$ref"), schemas)
		typ := d.child(d.child(d.child(all, name), "properties"), "type").object
		if only := member[string](typ, "const"); only != "" {
			d.events[only] = name
		}
		for _, one := range member[[]any](typ, "enum") {
			d.events[one.(string)] = name
		}
	}
}

// EventTypes is every type of event that the document describes.
func EventTypes(tb testing.TB) []string {
	tb.Helper()
	return slices.Sorted(maps.Keys(read(tb).events))
}
