package schema

import (
	"strings"
	"testing"
)

func TestFault(t *testing.T) {
	t.Parallel()
	const open = `{"type":"object","properties":{"p":{}}}`
	sealed := func(p string) string {
		return `{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":` + p + `}}`
	}
	for _, tt := range []struct {
		name, in string
		strict   bool
		want     string
	}{
		{name: "loose takes open objects", in: open},
		{name: "loose takes no type", in: `{}`},
		{name: "loose takes a nullable object", in: `{"type":["object","null"]}`},
		{name: "loose refuses another type", in: `{"type":"array"}`, want: `got 'type: "array"'.`},
		{name: "strict wants a type", in: `{}`, strict: true, want: `got 'type: "None"'.`},
		{name: "strict refuses open objects", in: open, strict: true, want: "In context=(), 'additionalProperties'"},
		{name: "strict takes sealed objects", in: sealed(sealed(`{"type":"string"}`)), strict: true},
		{name: "strict takes properties named like keywords", in: strings.ReplaceAll(sealed(`{"type":"string"}`), `"p"`, `"items"`), strict: true},
		{name: "strict looks into properties", in: sealed(open), strict: true, want: "In context=('properties', 'p'), "},
		{name: "strict looks into nullable objects", in: sealed(`{"type":["object","null"]}`), strict: true, want: "('properties', 'p')"},
		{name: "strict looks into unions", in: sealed(`{"anyOf":[{},` + open + `]}`), strict: true, want: "('properties', 'p', 'anyOf', '1')"},
		{name: "strict looks into definitions", in: sealed(`{"$defs":{"d":` + open + `}}`), strict: true, want: "('properties', 'p', '$defs', 'd')"},
		{name: "strict looks into elements", in: sealed(`{"items":` + open + `}`), strict: true, want: "('properties', 'p', 'items')"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Fault(parse(t, tt.in), tt.strict)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("Fault(%s, strict %v) = %q, want %q in it", tt.in, tt.strict, got, tt.want)
			}
		})
	}
}
