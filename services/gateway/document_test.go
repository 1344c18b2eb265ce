package gateway

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/openapi"
	"windlass.dev/windlass/services/internal/openapi/openapitest"
)

// TestEveryRouteIsDescribed: the OpenAPI document and the router say the same.
// Package openapi tells how to add a route.
func TestEveryRouteIsDescribed(t *testing.T) {
	t.Parallel()
	s := &server{}
	var routes []string
	add := func(all httpapi.Routes, suffix string) {
		for pattern, methods := range all {
			for method := range methods {
				routes = append(routes, method+" "+strings.ReplaceAll(pattern, "...}", "}")+suffix)
			}
		}
	}
	add(s.routes(), "")
	add(s.keys.Routes(), "")
	add(s.public(), " without a key")
	var described []string
	ids := map[string]bool{}
	for _, op := range openapitest.Operations(t) {
		route := op.Method + " " + op.Path
		if !op.NeedsKey {
			route += " without a key"
		}
		described = append(described, route)
		if op.ID == "" || ids[op.ID] || len(op.Tags) != 1 {
			t.Errorf("%s has the operationId %q, the tags %q; want one of its own, and one tag", route, op.ID, op.Tags)
		}
		ids[op.ID] = true
		if !slices.Contains(op.Statuses, "default") || len(op.Statuses) < 2 {
			t.Errorf("%s has the responses %q, want a good one and default", route, op.Statuses)
		}
		var inPath []string
		for _, p := range op.Parameters {
			if p.In == "path" {
				inPath = append(inPath, "{"+p.Name+"}")
			}
		}
		if diff := cmp.Diff(regexp.MustCompile(`{[^}]*}`).FindAllString(op.Path, -1), inPath); diff != "" {
			t.Errorf("%s: parameters of the path (-pattern +described):\n%s", route, diff)
		}
	}
	slices.Sort(routes)
	slices.Sort(described)
	if diff := cmp.Diff(routes, described); diff != "" {
		t.Errorf("routes (-served +described):\n%s", diff)
	}
}

func TestDocumentIsServedToEverybody(t *testing.T) {
	t.Parallel()
	s := raise(t)
	want, err := openapi.Document()
	if err != nil {
		t.Fatal(err)
	}
	r := s.request(t.Context(), http.MethodGet, "/openapi.json", "")
	r.Header.Del("Authorization")
	got := s.send(r)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("answered %d %v, want 200 and JSON", got.status, got.header)
	}
	same(t, "the document", got.body, string(want))
	if got := s.call(http.MethodPost, "/openapi.json", "{}"); got.status != http.StatusMethodNotAllowed || !strings.Contains(got.header.Get("Allow"), "GET") {
		t.Errorf("POST was answered %d, allow %q", got.status, got.header.Get("Allow"))
	}
}
