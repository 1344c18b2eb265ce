package services_test

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

	"github.com/google/go-cmp/cmp"
)

const (
	own        = "windlass.dev/windlass/"
	bus        = own + "pkg/bus"
	store      = own + "pkg/store"
	responses  = own + "pkg/responses"
	toolRunner = own + "services/tool-runner"
	toolMain   = own + "services/cmd/tool-runner"
	cli        = own + "services/cli" // brings the servers of `windlass dev`
	natsClient = "github.com/nats-io/nats.go"
	natsServer = "github.com/nats-io/nats-server/v2"
	pgx        = "github.com/jackc/pgx/v5"
)

// imports is what each package imports in its own files, tests left out.
type imports map[string][]string

// rule is one thing that DESIGN holds about who may know whom. A path in it
// stands for that package and all below it.
type rule struct {
	name  string
	check func(imports) []string
}

var rules = []rule{
	{"bus does not know store", unreachable(bus, store)},
	{"store does not know bus", unreachable(store, bus)},
	{"only bus speaks NATS", importedBy(natsClient, bus, cli)},
	{"only bus and dev bring a NATS server", importedBy(natsServer, bus, cli)},
	{"only store speaks SQL", importedBy(pgx, store)},
	{"tool-runner has no database", unreachable(toolRunner, store, pgx)},
	{"tool-runner's main has no database", unreachable(toolMain, store, pgx)},
	{"responses is standard library only", standardOnly(responses)},
}

// below says whether pkg is root or lies under it.
func below(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

func belowAny(pkg string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return below(pkg, root) })
}

// unreachable finds the chains by which from imports one of targets, however far.
func unreachable(from string, targets ...string) func(imports) []string {
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
			if below(pkg, from) {
				walk([]string{pkg})
			}
		}
		return faults
	}
}

// importedBy finds the packages of ours that import target and are not allowed to.
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

// standardOnly finds what root imports beyond the standard library, whose paths
// have no dot in their first element, and itself.
func standardOnly(root string) func(imports) []string {
	return func(graph imports) []string {
		var faults []string
		for _, pkg := range slices.Sorted(maps.Keys(graph)) {
			if !below(pkg, root) {
				continue
			}
			for _, imported := range graph[pkg] {
				first, _, _ := strings.Cut(imported, "/")
				if strings.Contains(first, ".") && !below(imported, root) {
					faults = append(faults, pkg+" -> "+imported)
				}
			}
		}
		return faults
	}
}

// TestDependencies holds the rules for what is there. A rule about a package
// that is not is kept trivially.
func TestDependencies(t *testing.T) {
	t.Parallel()
	graph := listImports(t)
	for _, r := range rules {
		for _, fault := range r.check(graph) {
			t.Errorf("%s: %s", r.name, fault)
		}
	}
}

func listImports(t *testing.T) imports {
	t.Helper()
	var failure bytes.Buffer
	// -e: a package that does not build is the build's to report.
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
		t.Fatalf("go list found none of %spkg in %d packages: the rules hold nothing", own, len(graph))
	}
	return graph
}

func TestRulesFindWhatBreaksThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule  string
		graph imports
		want  []string // nil: kept
	}{
		{
			"bus does not know store",
			imports{bus: {own + "pkg/x"}, own + "pkg/x": {store + "/pgtest"}},
			[]string{bus + " -> " + own + "pkg/x -> " + store + "/pgtest"},
		},
		{"bus does not know store", imports{bus: {own + "pkg/storefront"}, own + "pkg/storefront": nil}, nil},
		{"store does not know bus", imports{store + "/sweep": {bus}}, []string{store + "/sweep -> " + bus}},
		{
			"only bus speaks NATS",
			imports{
				own + "services/gateway": {natsClient + "/jetstream"},
				bus + "/bustest":         {natsClient},
				cli:                      {natsClient},
				"example.com/other":      {natsClient},
			},
			[]string{own + "services/gateway -> " + natsClient + "/jetstream"},
		},
		{
			"only bus and dev bring a NATS server",
			imports{own + "services/claimer": {natsServer + "/server"}, cli + "/dev": {natsServer + "/server"}},
			[]string{own + "services/claimer -> " + natsServer + "/server"},
		},
		{
			"only store speaks SQL",
			imports{own + "services/claimer": {pgx + "/pgxpool"}, store + "/pgtest": {pgx}, cli: {pgx}},
			[]string{own + "services/claimer -> " + pgx + "/pgxpool", cli + " -> " + pgx},
		},
		{
			"tool-runner has no database",
			imports{
				toolRunner:                {own + "pkg/registry", "fmt"},
				own + "pkg/registry":      {"example.com/sql"},
				"example.com/sql":         {pgx},
				own + "services/claimer":  {store},
				own + "services/internal": {store},
			},
			[]string{toolRunner + " -> " + own + "pkg/registry -> example.com/sql -> " + pgx},
		},
		{"tool-runner's main has no database", imports{toolMain: {store}}, []string{toolMain + " -> " + store}},
		{
			"responses is standard library only",
			imports{responses: {"encoding/json", responses + "/event", "golang.org/x/text/language", own + "pkg/registry"}},
			[]string{responses + " -> golang.org/x/text/language", responses + " -> " + own + "pkg/registry"},
		},
	}
	broken := map[string]bool{}
	for _, tt := range tests {
		i := slices.IndexFunc(rules, func(r rule) bool { return r.name == tt.rule })
		if i < 0 {
			t.Fatalf("no rule is called %q", tt.rule)
		}
		if diff := cmp.Diff(tt.want, rules[i].check(tt.graph)); diff != "" {
			t.Errorf("rule %q differs (-want +got):\n%s", tt.rule, diff)
		}
		broken[tt.rule] = broken[tt.rule] || tt.want != nil
	}
	for _, r := range rules {
		if !broken[r.name] {
			t.Errorf("no case breaks rule %q", r.name)
		}
	}
}
