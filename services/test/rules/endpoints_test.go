package rules

import (
	"go/ast"
	"slices"
	"strings"
	"testing"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
)

// TestEndpointsAreHandled holds that each endpoint of package run has a path in
// the OpenAPI document, a route in the gateway and work in the
// loop-orchestrator, and that a switch over kinds of work leaves none out.
func TestEndpointsAreHandled(t *testing.T) {
	t.Parallel()
	var documented []string
	for _, op := range openapitest.Operations(t) {
		if op.Method == "POST" {
			documented = append(documented, op.Path)
		}
	}
	constants := constantsOfType(t, "pkg/run/endpoint.go", "Endpoint")
	if len(constants) != len(run.Endpoints()) {
		t.Errorf("package run has the constants %v for %d endpoints", constants, len(run.Endpoints()))
	}
	for i, e := range run.Endpoints() {
		if !slices.Contains(documented, e.Path()) {
			t.Errorf("the OpenAPI document has no POST %s", e.Path())
		}
		if e == run.Responses {
			continue // what the services do by default
		}
		if i < len(constants) && !uses(t, "services/gateway", constants[i]) {
			t.Errorf("the gateway does not name run.%s", constants[i])
		}
	}
	works := constantsOfType(t, "pkg/run/endpoint.go", "Work")
	for _, f := range goFiles(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			s, ok := n.(*ast.SwitchStmt)
			if !ok || !slices.ContainsFunc(works, func(work string) bool { return names(s.Body, work) }) {
				return true
			}
			for _, work := range works {
				if !names(s.Body, work) {
					t.Errorf("%s:%d: the switch leaves out run.%s", f.path, f.line(s.Pos()), work)
				}
			}
			return true
		})
	}
	if !uses(t, "services/loop-orchestrator", works[1]) {
		t.Error("the loop-orchestrator does not go by Endpoint.Work")
	}
}

// constantsOfType returns the constants of one block that begins with one of
// that type.
func constantsOfType(t *testing.T, file, typ string) []string {
	t.Helper()
	for _, f := range goFiles(t) {
		if f.path != file {
			continue
		}
		for _, decl := range f.ast.Decls {
			d, ok := decl.(*ast.GenDecl)
			if !ok || len(d.Specs) == 0 {
				continue
			}
			first, ok := d.Specs[0].(*ast.ValueSpec)
			if !ok {
				continue
			}
			if ident, ok := first.Type.(*ast.Ident); !ok || ident.Name != typ {
				continue
			}
			var all []string
			for _, spec := range d.Specs {
				all = append(all, spec.(*ast.ValueSpec).Names[0].Name)
			}
			return all
		}
	}
	t.Fatalf("%s has no constants of type %s", file, typ)
	return nil
}

// names reports whether a node has that name in it, behind a package's or not.
func names(n ast.Node, name string) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if ident, ok := n.(*ast.Ident); ok && ident.Name == name {
			found = true
		}
		return !found
	})
	return found
}

func uses(t *testing.T, dir, name string) bool {
	t.Helper()
	return slices.ContainsFunc(goFiles(t), func(f goFile) bool {
		return !f.test && strings.HasPrefix(f.path, dir+"/") && names(f.ast, name)
	})
}
