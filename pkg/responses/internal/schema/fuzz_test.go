package schema

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"windlass.dev/windlass/pkg/responses/internal/raw"
)

// FuzzInvalid holds Invalid against a validator: what that can use as a schema
// is never refused. Of everything, the verdicts are short lines of text.
func FuzzInvalid(f *testing.F) {
	for _, s := range []string{
		`{"type":"object","properties":{"a":{"type":["string","null"],"enum":["x",null]}},"required":["a"],"additionalProperties":false}`,
		`{"$defs":{"d":{"items":{"$ref":"#/$defs/d"}}},"anyOf":[{"$ref":"#/$defs/d"},true],"not":{},"minLength":1e2}`,
		`{"type":"array","prefixItems":[{}],"items":false,"uniqueItems":true,"contains":{"const":1}}`,
		`{"if":{"type":"number"},"then":{"multipleOf":0.5},"else":{"pattern":"^a"},"dependentSchemas":{"a":{}},"$ref":"#"}`, `true`, `[]`, `{"type":"str"}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := raw.Parse([]byte(text))
		if err != nil {
			return
		}
		invalid := Invalid(v)
		for _, verdict := range []string{invalid, Fault(v, false), Fault(v, true), Unfit(v)} {
			if len(verdict) > 8<<10 || !utf8.ValidString(verdict) && utf8.ValidString(text) && len(text) < 64 {
				t.Fatalf("%s is judged %q", text, verdict)
			}
		}
		lost := strings.Contains(invalid, "reference to component") // a validator does not follow those in unused definitions
		if invalid != "" && !lost && usable(v) {
			t.Fatalf("%s is refused: %s", v, invalid)
		}
	})
}

// usable reports whether a validator takes v for a schema, by the keywords that
// are known here.
func usable(v raw.Value) bool {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(v))
	if err != nil || hasTwice(v) || strings.Contains(string(v), "$schema") { // another draft has other rules
		return false
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nowhere{})
	if c.AddResource("schema:x", doc) != nil {
		return false
	}
	_, err = c.Compile("schema:x")
	return err == nil
}

// hasTwice: validators see the last of equal keys only.
func hasTwice(v raw.Value) bool {
	seen := map[string]bool{}
	for key, m := range v.Members() {
		if seen[string(key)] || hasTwice(m) {
			return true
		}
		seen[string(key)] = true
	}
	for _, e := range v.Elements() {
		if hasTwice(e) {
			return true
		}
	}
	return false
}

type nowhere struct{}

func (nowhere) Load(url string) (any, error) { return nil, &jsonschema.LoadURLError{URL: url} }
