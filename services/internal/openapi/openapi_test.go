package openapi

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/getkin/kin-openapi/openapi3"
)

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	text, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	loader := openapi3.NewLoader()
	loader.Context = t.Context()
	doc, err := loader.LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(loader.Context); err != nil {
		t.Error(err)
	}
}

func TestAssemble(t *testing.T) {
	t.Parallel()
	const theirs = `{"components":{"schemas":{
		"A":{"example":1,"properties":{"example":{"$ref":"#/components/schemas/B"}}},"B":{"allOf":[{"example":2}]},"C":{},"Unused":{}}}}`
	for _, tt := range []struct {
		name, one, two, want string // want is the schemas, or an error's end
	}{
		{
			"schemas are taken over with what they refer to", `{x: {$ref: "#/components/schemas/A"}}`, `{components: {schemas: {}}}`,
			`{"A":{"properties":{"example":{"$ref":"#/components/schemas/B"}}},"B":{"allOf":[{}]}}`,
		},
		{
			"ours replace theirs", `{components: {schemas: {B: {type: string}}}}`, `{components: {schemas: {A: {$ref: "#/components/schemas/B"}}}}`,
			`{"A":{"$ref":"#/components/schemas/B"},"B":{"type":"string"}}`,
		},
		{"a schema that is nowhere", `{x: {$ref: "#/components/schemas/D"}}`, `{components: {schemas: {}}}`, "there is no schema D"},
		{"a schema twice", `{components: {schemas: {A: {type: string}}}}`, `{components: {schemas: {A: {type: object}}}}`, "type is there twice"},
		{"no schemas", `{}`, `{}`, "there is no components.schemas"},
		{"no YAML", `{`, `{}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := assemble(fstest.MapFS{"1.yaml": {Data: []byte(tt.one)}, "p/2.yaml": {Data: []byte(tt.two)}}, []byte(theirs))
			if err != nil {
				if !strings.HasSuffix(err.Error(), tt.want) || strings.HasPrefix(tt.want, "{") {
					t.Errorf("failed with %v, want %s", err, tt.want)
				}
				return
			}
			var doc struct {
				Components struct{ Schemas json.RawMessage }
			}
			if err := json.Unmarshal(got, &doc); err != nil {
				t.Fatal(err)
			}
			if string(doc.Components.Schemas) != tt.want {
				t.Errorf("schemas are %s, want %s", doc.Components.Schemas, tt.want)
			}
		})
	}
}
