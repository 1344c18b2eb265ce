// Package openapi is the OpenAPI 3.1 document of everything Windlass serves,
// which gateways answer at /openapi.json.
//
// The source is openapi.yaml, what all routes share, and one file of paths/ for
// each kind of resource, with the paths of its routes and the schemas that only
// they need. Document puts them together. A test of the gateway compares the
// result with the router: a route that is not described here, or described and
// not there, fails it.
//
// # To add a route
//
// Write its path and method into the file of its resource in paths/, or into a
// new file there; it is found by its being there. The path is the router's
// pattern, letter for letter; a parameter that the router writes {x...} is {x}
// here, with x-windlass-segments: many. An operation has
//
//   - operationId (unique, camelCase), summary (a line), tags (one, of
//     openapi.yaml) and, where there is more to say, description;
//   - parameters, each with a schema: shared ones by "$ref":
//     "#/components/parameters/…";
//   - for a body, requestBody with its schema, and required: true unless an
//     empty body will do;
//   - responses: "200", and default: {$ref: "#/components/responses/Error"} for
//     all that goes wrong.
//
// The key is asked for everywhere; a route that needs none says security: [].
//
// # Schemas
//
// "$ref": "#/components/schemas/X" finds X in the files here, or else in the
// Open Responses specification, whose schemas are taken over with all they
// refer to and without their examples. A schema of the specification that is
// too narrow for what Windlass takes or answers (hosted tools, their items,
// vendors' types) is written here under the same name, which replaces it
// everywhere: schemas.yaml has those. What Windlass answers is checked against
// this document by openapitest, in every test of the whole stack.
package openapi

import (
	"embed"
	"sync"

	"windlass.dev/windlass/pkg/responses/spec"
)

//go:embed openapi.yaml schemas.yaml events.yaml paths/*.yaml
var files embed.FS

// Document is the whole document as JSON on one line, the same bytes each time.
// It fails only if the files in it are at fault, which a test rules out. Do not
// change the result. Safe for concurrent use.
var Document = sync.OnceValues(func() ([]byte, error) { return assemble(files, spec.Document) })
