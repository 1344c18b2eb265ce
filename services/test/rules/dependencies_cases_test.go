package rules

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRulesFindWhatBreaksThem(t *testing.T) {
	t.Parallel()
	tests := []struct {
		rule  string
		graph imports
		want  []string // nil: kept
	}{
		{
			"bus does not reach store",
			imports{bus: {own + "pkg/x"}, own + "pkg/x": {store + "/pgtest"}},
			[]string{bus + " -> " + own + "pkg/x -> " + store + "/pgtest"},
		},
		{"bus does not reach store", imports{bus: {own + "pkg/storefront"}, own + "pkg/storefront": nil}, nil},
		{"store does not reach bus", imports{store + "/sweep": {bus}}, []string{store + "/sweep -> " + bus}},
		{
			"only bus imports the NATS client",
			imports{
				own + "services/gateway": {natsClient + "/jetstream"},
				bus + "/bustest":         {natsClient},
				commands[0]:              {natsClient},
				"example.com/other":      {natsClient},
			},
			[]string{own + "services/gateway -> " + natsClient + "/jetstream"},
		},
		{
			"only bus and dev import the NATS server",
			imports{own + "services/claimer": {natsServer + "/server"}, commands[1] + "/dev": {natsServer + "/server"}},
			[]string{own + "services/claimer -> " + natsServer + "/server"},
		},
		{
			"only store imports pgx",
			imports{own + "services/claimer": {pgx + "/pgxpool"}, store + "/pgtest": {pgx}, commands[0]: {pgx}},
			[]string{own + "services/claimer -> " + pgx + "/pgxpool", commands[0] + " -> " + pgx},
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
		{"tool-runner has no database", imports{toolMain: {store}}, []string{toolMain + " -> " + store}},
		{
			"run imports the standard library only",
			imports{vocabulary + "/itemid": {vocabulary, "github.com/google/uuid"}},
			[]string{vocabulary + "/itemid -> github.com/google/uuid"},
		},
		{
			"responses imports the standard library and run only",
			imports{responses: {"encoding/json", responses + "/event", vocabulary, "golang.org/x/text/language", own + "pkg/registry"}},
			[]string{responses + " -> golang.org/x/text/language", responses + " -> " + own + "pkg/registry"},
		},
		{
			"pure packages reach neither NATS nor Postgres",
			imports{pure[0]: {own + "pkg/x"}, own + "pkg/x": {natsClient + "/jetstream"}},
			[]string{pure[0] + " -> " + own + "pkg/x -> " + natsClient + "/jetstream"},
		},
		{
			"services do not import each other",
			imports{gateway + "/internal/wait": {services[1]}, services[1]: {internal}},
			[]string{gateway + "/internal/wait -> " + services[1]},
		},
		{
			"services/internal imports no service",
			imports{internal + "/lanes": {gateway + "/internal/wait"}},
			[]string{internal + "/lanes -> " + gateway + "/internal/wait"},
		},
		{
			"services have no test support",
			imports{mains[0]: {internal + "/x"}, internal + "/x": {own + "services/mock"}},
			[]string{mains[0] + " -> " + internal + "/x -> " + own + "services/mock"},
		},
		{"pkg does not import services", imports{bus: {internal}}, []string{bus + " -> " + internal}},
		{
			"the gateway's packages are layered",
			imports{gateway + "/internal/hints": {gateway + "/internal/origins"}, gateway + "/internal/new": nil},
			[]string{
				gateway + "/internal/hints -> " + gateway + "/internal/origins",
				gateway + "/internal/new is in no layer",
			},
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
