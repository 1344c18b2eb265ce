// Package spectest holds what tests write and read against the Open Responses
// specification (package responses/spec).
//
// It promises that a body that passes has every field that the specification
// requires, of the type it requires. It does not promise that clients like it:
// the specification knows nothing of hosted tools' items, which SDKs do.
package spectest

import (
	"bytes"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"windlass.dev/windlass/pkg/responses/spec"
)

const resource = "openresponses.json"

var compiled struct {
	sync.Mutex
	compiler *jsonschema.Compiler
}

// Schema compiles one of the document's schemas by its name. It is compiled
// once and safe for concurrent use.
func Schema(tb testing.TB, name string) *jsonschema.Schema {
	tb.Helper()
	compiled.Lock()
	defer compiled.Unlock()
	if compiled.compiler == nil {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(spec.Document))
		if err != nil {
			tb.Fatalf("read the specification: %v", err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(resource, doc); err != nil {
			tb.Fatalf("add the specification: %v", err)
		}
		compiled.compiler = c
	}
	s, err := compiled.compiler.Compile(resource + "#/components/schemas/" + name)
	if err != nil {
		tb.Fatalf("compile %s: %v", name, err)
	}
	return s
}

// Conforms fails the test if the JSON text is not as the schema says.
func Conforms(tb testing.TB, s *jsonschema.Schema, text []byte) {
	tb.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatalf("%v: %s", err, text)
	}
	if err := s.Validate(v); err != nil {
		tb.Errorf("%v\n%s", err, text)
	}
}
