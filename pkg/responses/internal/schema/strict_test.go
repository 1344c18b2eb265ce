package schema

import (
	"strings"
	"testing"
)

// TestUnfitLetsPass: what strict mode has. What it has not is in the table of
// bad input of the gateway, row I15.
func TestUnfitLetsPass(t *testing.T) {
	t.Parallel()
	sealed := func(p string) string {
		return `{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":` + p + `}}`
	}
	for name, in := range map[string]string{
		"no properties":              `{"type":"object","additionalProperties":false}`,
		"every type":                 sealed(`{"anyOf":[{"type":"string"},{"type":["integer","null"]},{"type":"array","items":{"type":"boolean"}},` + sealed(`{"type":"number"}`) + `]}`),
		"keywords with values":       sealed(`{"type":"string","enum":["a"],"pattern":"^a","minLength":1,"format":"date","default":"a","title":"t"}`),
		"definitions":                `{"type":"object","additionalProperties":false,"required":["p"],"properties":{"p":{"$ref":"#/$defs/d"}},"$defs":{"d":{"type":"string"}}}`,
		"itself inside":              sealed(`{"anyOf":[{"$ref":"#"},{"type":"null"}]}`),
		"names like keywords":        strings.ReplaceAll(sealed(`{"type":"string"}`), `"p"`, `"allOf"`),
		"levels that are no objects": sealed(strings.Repeat(`{"type":"array","items":`, 12) + `{"type":"string"}` + strings.Repeat(`}`, 12)),
	} {
		v := parse(t, in)
		if got := Fault(v, true) + Invalid(v) + Unfit(v); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
}
