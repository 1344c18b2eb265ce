package rules

import (
	"testing"
)

const (
	own        = "windlass.dev/windlass/"
	bus        = own + "pkg/bus"
	store      = own + "pkg/store"
	responses  = own + "pkg/responses"
	vocabulary = own + "pkg/run"
	gateway    = own + "services/gateway"
	toolRunner = own + "services/tool-runner"
	toolMain   = own + "services/cmd/tool-runner"
	internal   = own + "services/internal"
	natsClient = "github.com/nats-io/nats.go"
	natsServer = "github.com/nats-io/nats-server/v2"
	pgx        = "github.com/jackc/pgx/v5"
)

// services are the packages of the five services.
var services = []string{
	gateway, own + "services/claimer", own + "services/loop-orchestrator", toolRunner, own + "services/finalizer",
}

// mains are the programs of the five services.
var mains = []string{
	own + "services/cmd/gateway", own + "services/cmd/claimer", own + "services/cmd/loop-orchestrator", toolMain, own + "services/cmd/finalizer",
}

// commands bring the servers of `windlass dev`.
var commands = []string{own + "services/cmd/windlass", own + "services/cli"}

// support is for tests, benchmarks and the demo, and never part of a service.
var support = []string{
	own + "services/mock", own + "services/bench", own + "services/test", own + "services/cli", own + "services/cmd/windlass",
	own + "pkg/spectest", store + "/storetest", bus + "/bustest", own + "pkg/localpg",
}

// pure packages decide and translate. They reach neither NATS nor Postgres.
var pure = []string{
	vocabulary, responses,
	own + "pkg/suggest",
	own + "pkg/registry",
	own + "pkg/retry",
	own + "services/internal/apikey",
	own + "services/internal/capability",
	own + "services/internal/compaction",
	own + "services/internal/livestream",
	own + "services/internal/openapi",
	own + "services/internal/toolset",
	own + "services/internal/transcript",
	own + "services/gateway/internal/hints",
	own + "services/gateway/internal/origins",
	own + "services/loop-orchestrator/internal/compact",
	own + "services/loop-orchestrator/internal/dialect",
	own + "services/loop-orchestrator/internal/model",
	own + "services/loop-orchestrator/internal/onecall",
	own + "services/loop-orchestrator/internal/plan",
	own + "services/loop-orchestrator/internal/rawjson",
	own + "services/loop-orchestrator/internal/tokens",
	own + "services/loop-orchestrator/internal/upstream",
	own + "services/finalizer/internal/answer",
	own + "services/tool-runner/internal/httptool",
	own + "services/tool-runner/internal/inflight",
	own + "services/mock",
}

// layers are the packages of the gateway, below services/gateway/internal. A
// package imports only packages of the layers before its own, so that the
// packages of one layer do not import each other.
var layers = [][]string{
	{"audit", "cost", "framing", "hints", "origins", "query", "tenants"},
	{"httpapi"},
	{"auth", "catalog", "wait"},
	{"adminapi", "admission", "render"},
	{"history", "stream"},
	{"answer"},
	{"chatapi", "conversationapi", "idempotency"},
	{"responseapi"},
	{"socket"},
}

// rule is one thing that ARCHITECTURE.md says about imports. A path
// stands for that package and all below it.
type rule struct {
	name  string
	check func(imports) []string
}

var rules = []rule{
	{"bus does not reach store", unreachable([]string{bus}, store)},
	{"store does not reach bus", unreachable([]string{store}, bus)},
	{"only bus imports the NATS client", importedBy(natsClient, append(commands, bus)...)},
	{"only bus and dev import the NATS server", importedBy(natsServer, append(commands, bus)...)},
	{"only store imports pgx", importedBy(pgx, store)},
	{"tool-runner has no database", unreachable([]string{toolRunner, toolMain}, store, pgx)},
	{"run imports the standard library only", standardOnly(vocabulary)},
	{"responses imports the standard library and run only", standardOnly(responses, vocabulary)},
	{"pure packages reach neither NATS nor Postgres", unreachable(pure, bus, store, natsClient, natsServer, pgx)},
	{"services do not import each other", separate(services)},
	{"services/internal imports no service", unreachable([]string{internal}, services...)},
	{"services have no test support", unreachable(mains, support...)},
	{"pkg does not import services", unreachable([]string{own + "pkg"}, own+"services")},
	{"the gateway's packages are layered", layered(gateway+"/internal", layers)},
}

// TestDependencies holds the rules for the packages without their tests.
func TestDependencies(t *testing.T) {
	t.Parallel()
	graph := listImports(t)
	for _, r := range rules {
		for _, fault := range r.check(graph) {
			t.Errorf("%s: %s", r.name, fault)
		}
	}
	for _, pkg := range pure {
		if _, ok := graph[pkg]; !ok {
			t.Errorf("pure names %s, which does not exist", pkg)
		}
	}
}
