package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// imports maps each package to what its files import, tests left out.
type imports map[string][]string

// below reports whether pkg is root or lies under it.
func below(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func belowAny(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return below(pkg, root) })
}

// unreachable finds the chains by which one of from imports one of targets,
// however long.
func unreachable(from []string, targets ...string) func(imports) []string {
	return func(graph imports) []string {
		var faults []string
		seen := map[string]bool{}
		var walk func(chain []string)
		walk = func(chain []string) {
			pkg := chain[len(chain)-1]
			if seen[pkg] {
				return
			}
			seen[pkg] = true
			if belowAny(pkg, targets) {
				faults = append(faults, strings.Join(chain, " -> "))
				return
			}
			for _, next := range graph[pkg] {
				walk(append(slices.Clip(chain), next))
			}
		}
		for _, pkg := range slices.Sorted(maps.Keys(graph)) {
			if belowAny(pkg, from) && !belowAny(pkg, targets) {
				walk([]string{pkg})
			}
		}
		return faults
	}
}

// importedBy finds packages of this repository that import target and are not
// allowed to.
func importedBy(target string, allowed ...string) func(imports) []string {
	return func(graph imports) []string {
		var faults []string
		for _, pkg := range slices.Sorted(maps.Keys(graph)) {
			if !strings.HasPrefix(pkg, own) || belowAny(pkg, allowed) {
				continue
			}
			for _, imported := range graph[pkg] {
				if below(imported, target) {
					faults = append(faults, pkg+" -> "+imported)
				}
			}
		}
		return faults
	}
}

// standardOnly finds imports of root beyond the standard library, whose paths
// have no dot in their first element, and root itself.
func standardOnly(root string, except ...string) func(imports) []string {
	return func(graph imports) []string {
		var faults []string
		for _, pkg := range slices.Sorted(maps.Keys(graph)) {
			if !below(pkg, root) {
				continue
			}
			for _, imported := range graph[pkg] {
				first, _, _ := strings.Cut(imported, "/")
				allowed := slices.ContainsFunc(except, func(e string) bool { return below(imported, e) })
				if strings.Contains(first, ".") && !below(imported, root) && !allowed {
					faults = append(faults, pkg+" -> "+imported)
				}
			}
		}
		return faults
	}
}

// separate finds packages of one root that reach another root.
func separate(roots []string) func(imports) []string {
	return func(graph imports) []string {
		var faults []string
		for _, root := range roots {
			others := slices.DeleteFunc(slices.Clone(roots), func(r string) bool { return r == root })
			faults = append(faults, unreachable([]string{root}, others...)(graph)...)
		}
		return faults
	}
}

// layered finds packages of root that import a package of their own layer or a
// later one, and packages that no layer names. Packages below a named one
// belong to it.
func layered(root string, layers [][]string) func(imports) []string {
	level := map[string]int{}
	for i, layer := range layers {
		for _, name := range layer {
			level[name] = i
		}
	}
	named := func(pkg string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(pkg, root+"/"), "/")
		return name
	}
	return func(graph imports) []string {
		var faults []string
		for _, pkg := range slices.Sorted(maps.Keys(graph)) {
			if !below(pkg, root) {
				continue
			}
			from, known := level[named(pkg)]
			if !known {
				faults = append(faults, pkg+" is in no layer")
				continue
			}
			for _, imported := range graph[pkg] {
				if !below(imported, root) || named(imported) == named(pkg) {
					continue
				}
				if to, known := level[named(imported)]; known && to >= from {
					faults = append(faults, pkg+" -> "+imported)
				}
			}
		}
		return faults
	}
}

func listImports(t *testing.T) imports {
	t.Helper()
	var failure bytes.Buffer
	// -e: a package that does not build is for the build to report.
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports", own+"...")
	list.Stderr = &failure
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, failure.String())
	}
	graph := imports{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			ImportPath string
			Imports    []string
		}
		err := dec.Decode(&pkg)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read go list: %v", err)
		}
		graph[pkg.ImportPath] = pkg.Imports
	}
	ours := 0
	for pkg := range graph {
		if strings.HasPrefix(pkg, own+"pkg/") {
			ours++
		}
	}
	if ours == 0 {
		t.Fatalf("go list found none of %spkg in %d packages: the rules check nothing", own, len(graph))
	}
	return graph
}
