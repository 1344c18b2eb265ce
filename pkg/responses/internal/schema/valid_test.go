package schema

import (
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

func parse(tb testing.TB, text string) raw.Value {
	tb.Helper()
	v, err := raw.Parse([]byte(text))
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"nothing", ``, ""},
		{"anything", `{}`, ""},
		{"booleans", `{"properties":{"a":true},"additionalProperties":false,"items":true}`, ""},
		{"every keyword", `{"$id":"x","$schema":"s","title":"t","description":"d","type":["object","null"],"enum":[],"required":["a"],
			"properties":{"type":{"type":"string","pattern":"(","format":"new","minLength":0,"maxLength":1e3},"n":{"minimum":-1.5,"exclusiveMinimum":true,"multipleOf":2},
			"l":{"items":[{"uniqueItems":true}],"additionalItems":false,"minItems":1,"contains":{}}},"patternProperties":{"^x":{}},"propertyNames":{"maxLength":3},
			"anyOf":[{}],"if":{},"then":{},"else":{},"not":{},"default":5,"examples":7,"x-vendor":[]}`, ""},
		{"references", `{"$defs":{"a/b c":{"$ref":"#"}},"definitions":{"d":{}},"anyOf":[{"$ref":"#/$defs/a~1b%20c"},{"$ref":"#/definitions/d/x"},
			{"$ref":"#/properties/p"},{"$ref":"#anchor"},{"$ref":"https://x.test/y"}]}`, ""},

		{"no schema", `[]`, "In context=(), [] is not of type 'object', 'boolean'."},
		{"unknown type", `{"properties":{"a":{"type":"str"}}}`, "In context=('properties', 'a'), 'str' is not valid under any of the given schemas."},
		{"unknown type in a list", `{"type":["object","nil"]}`, `["object","nil"] is not valid under any`},
		{"no types", `{"type":[]}`, "[] is not valid under any"},
		{"required is no list", `{"items":{"required":true}}`, "In context=('items'), true is not a valid 'required'."},
		{"required is no names", `{"required":[1]}`, "[1] is not a valid 'required'."},
		{"properties is a list", `{"properties":["a"]}`, `["a"] is not a valid 'properties'.`},
		{"a property is no schema", `{"properties":{"a":"string"}}`, `In context=('properties', 'a'), "string" is not of type 'object', 'boolean'.`},
		{"null items", `{"items":null}`, "In context=('items'), null is not of type"},
		{"empty anyOf", `{"anyOf":[]}`, "[] is not a valid 'anyOf'."},
		{"inside anyOf", `{"anyOf":[{},{"not":{"enum":1}}]}`, "In context=('anyOf', '1', 'not'), 1 is not a valid 'enum'."},
		{"inside definitions", `{"$defs":{"d":{"minLength":-1}}}`, "In context=('$defs', 'd'), -1 is not a valid 'minLength'."},
		{"minimum is a string", `{"minimum":"1"}`, "'1' is not a valid 'minimum'."},
		{"definition that is not there", `{"$defs":{"a":{}},"items":{"$ref":"#/$defs/b"}}`, "In context=('items'), reference to component '#/$defs/b' which was not found in the schema."},
		{"no definitions", `{"$ref":"#/definitions/b"}`, "which was not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var v raw.Value
			if tt.in != "" {
				v = parse(t, tt.in)
			}
			if got := Invalid(v); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("Invalid(%s) = %q, want %q in it", tt.in, got, tt.want)
			}
		})
	}
}

// TestChecksAreCheap: neither depth nor references make a large schema cost
// more than its size.
func TestChecksAreCheap(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	flat := `{"$defs":{` + strings.Repeat(`"a":{"$ref":"#/$defs/a"},`, size/26) + `"a":{}}}`
	deep := strings.Repeat(`{"items":`, 50) + flat + strings.Repeat(`}`, 50)
	wide := `{"anyOf":[` + strings.Repeat(`{"type":"string"},`, size/18) + `{}]}`
	for name, in := range map[string]string{"references": flat, "depth": deep, "width": wide} {
		v := parse(t, in)
		took := time.Hour
		for range 5 { // the best of five: other tests run beside it
			began := time.Now()
			Invalid(v)
			Fault(v, true)
			Unfit(v)
			took = min(took, time.Since(began))
		}
		if took > time.Second {
			t.Errorf("%s: %d bytes took %v", name, len(in), took)
		}
	}
}
