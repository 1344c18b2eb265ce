// Package openapitest reads the OpenAPI document for tests: what it says is
// served, and whether what is served is as it says.
package openapitest

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"windlass.dev/windlass/services/internal/openapi"
)

// Operation is one method of one path.
type Operation struct {
	Method     string
	Path       string
	ID         string
	Tags       []string
	Parameters []Parameter // its own, and its path's
	NeedsKey   bool
	HasBody    bool
	Statuses   []string // of its responses, and default

	node node
}

// Parameter is a parameter of a path or a query.
type Parameter struct {
	Name string
	In   string
}

type object = map[string]any

const resource = "windlass.json"

// document is the document, read once. Safe for concurrent use.
type document struct {
	root       object
	operations []Operation
	mux        *http.ServeMux    // finds the path of a URL, as the router does
	events     map[string]string // schemas of streamed events, by their types

	lock     sync.Mutex
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema // by JSON pointer
}

var load = sync.OnceValues(func() (*document, error) {
	text, err := openapi.Document()
	if err != nil {
		return nil, err
	}
	root, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d := &document{
		root: root.(object), mux: http.NewServeMux(), events: map[string]string{},
		compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{},
	}
	if err := d.compiler.AddResource(resource, root); err != nil {
		return nil, err
	}
	paths := d.child(node{d.root, "#"}, "paths")
	for _, path := range slices.Sorted(maps.Keys(paths.object)) {
		item := d.child(paths, path)
		d.mux.Handle(pattern(path, item.object), http.NotFoundHandler())
		d.readPath(path, item)
	}
	d.readEvents()
	return d, nil
})

func read(tb testing.TB) *document {
	tb.Helper()
	d, err := load()
	if err != nil {
		tb.Fatalf("read the OpenAPI document: %v", err)
	}
	return d
}

// Operations is everything that the document describes, by path and method.
func Operations(tb testing.TB) []Operation {
	tb.Helper()
	return read(tb).operations
}

// pattern is the router's pattern of a path. OpenAPI has no word for a
// parameter of several segments; the document says x-windlass-segments: many.
func pattern(path string, item object) string {
	for _, p := range member[[]any](item, "parameters") {
		if o, ok := p.(object); ok && member[string](o, "x-windlass-segments") == "many" {
			name := member[string](o, "name")
			path = strings.Replace(path, "{"+name+"}", "{"+name+"...}", 1)
		}
	}
	return path
}

func (d *document) readPath(path string, item node) {
	for _, method := range slices.Sorted(maps.Keys(item.object)) {
		op := d.child(item, method)
		if op.object == nil || strings.HasPrefix(method, "x-") { // parameters are a list
			continue
		}
		o := Operation{
			Method:   strings.ToUpper(method),
			Path:     path,
			ID:       member[string](op.object, "operationId"),
			NeedsKey: true,
			HasBody:  op.object["requestBody"] != nil,
			Statuses: slices.Sorted(maps.Keys(d.child(op, "responses").object)),
			node:     op,
		}
		if security, ok := op.object["security"].([]any); ok {
			o.NeedsKey = len(security) > 0
		}
		for _, tag := range member[[]any](op.object, "tags") {
			o.Tags = append(o.Tags, tag.(string))
		}
		for _, list := range []object{item.object, op.object} {
			for _, p := range member[[]any](list, "parameters") {
				// In a node of its own, so that a reference is followed.
				p := d.child(node{object{"p": p}, ""}, "p")
				o.Parameters = append(
					o.Parameters,
					Parameter{Name: member[string](p.object, "name"), In: member[string](p.object, "in")},
				)
			}
		}
		d.operations = append(d.operations, o)
	}
}

// node is an object of the document, at a JSON pointer.
type node struct {
	object
	pointer string
}

// child is a member that is an object, behind its reference if it is one. A
// member that is not there is an empty node.
func (d *document) child(n node, name string) node {
	escaped := strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	c := node{member[object](n.object, name), n.pointer + "/" + escaped}
	for {
		ref, ok := c.object["$ref"].(string)
		if !ok {
			return c
		}
		c = node{d.root, "#"}
		for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			c = node{member[object](c.object, name), c.pointer + "/" + name}
		}
	}
}

// member is a member of that type, or nothing.
func member[T any](o object, name string) T {
	v, _ := o[name].(T)
	return v
}
