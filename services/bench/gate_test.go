package bench

import (
	"context"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/pgstat"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/bench/internal/audit"
	"windlass.dev/windlass/services/bench/internal/client"
	"windlass.dev/windlass/services/bench/internal/load"
	"windlass.dev/windlass/services/bench/internal/report"
	"windlass.dev/windlass/services/bench/internal/scenario"
	"windlass.dev/windlass/services/bench/internal/stack"
	"windlass.dev/windlass/services/claimer"
	"windlass.dev/windlass/services/finalizer"
	"windlass.dev/windlass/services/gateway"
	"windlass.dev/windlass/services/internal/worker"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
	"windlass.dev/windlass/services/mock"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

const (
	gateRuns    = 60
	gateWorkers = 16
	gateLimit   = 2 * time.Minute // the runs take seconds
)

// gate is what a step of B3 may cost. The design wants 0.4 write transactions,
// 1.5 statements and 5 messages; the limits leave room for a machine that
// groups fewer commits because it flushes faster.
var gate = report.Limits{Commits: 1.3, Statements: 3, Messages: 12}

// inProcess is the five services in this process, with their own NATS server
// and database.
type inProcess struct {
	api   *client.Windlass
	mock  *mock.Server
	nats  *server.Server
	dbURL string
	end   func() // stops the services and closes their sessions
}

func startInProcess(t *testing.T) *inProcess {
	t.Helper()
	s := &inProcess{mock: mock.New(), dbURL: storetest.Database(t, func(ctx context.Context, url string) error {
		_, err := migrations.Apply(ctx, url)
		return err
	})}
	if _, err := pgstat.Prepare(t.Context(), s.dbURL); err != nil {
		t.Fatal(err)
	}
	scripted := httptest.NewServer(s.mock)
	t.Cleanup(scripted.Close)
	reg, err := registry.Parse("registry.yaml", []byte(stack.RegistryFile(scripted.URL, registry.Chat)))
	if err != nil {
		t.Fatal(err)
	}
	broker := bustest.NewBroker(t)
	s.nats = broker.Server()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	http := client.NewHTTP()
	t.Cleanup(http.CloseIdleConnections)
	s.api = &client.Windlass{URL: "http://" + listener.Addr().String(), HTTP: http}
	s.run(t, broker, reg, listener)
	return s
}

// run starts the services as windlass dev does.
func (s *inProcess) run(t *testing.T, broker *bustest.Broker, reg *registry.Registry, listener net.Listener) {
	t.Helper()
	rt := process.NewRuntime("bench", process.Config{}, zap.NewNop())
	db, nats := postgres.Config{URL: s.dbURL, MaxConns: 4}, bustest.Config(broker)
	nats.AckWait = 4 * time.Second
	common := func(name string) worker.Config {
		return worker.Config{
			Store: db, Bus: nats, DispatchKey: strings.Repeat("k", 52), Grace: time.Second, Registry: reg, Runtime: rt.For(name),
		}
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return claimer.Run(ctx, claimer.Config{Config: common("claimer")}) })
	all.Go(func() error {
		return looporchestrator.Run(ctx, looporchestrator.Config{Config: common("loop-orchestrator"), Slots: 1024, ResultBatch: 256})
	})
	all.Go(func() error { return finalizer.Run(ctx, finalizer.Config{Config: common("finalizer"), Slots: 64}) })
	all.Go(func() error {
		return toolrunner.Run(ctx, toolrunner.Config{
			Bus: nats, Slots: 256, Grace: time.Second, Registry: reg, Runtime: rt.For("tool-runner"),
		})
	})
	all.Go(func() error {
		return gateway.Run(ctx, gateway.Config{
			Store: db, Bus: nats, APIKey: client.APIKey, MaxBody: 1 << 20, BacklogMax: 1000, PollInterval: time.Second,
			DrainGrace: time.Second, Registry: reg, Runtime: rt.For("gateway"), Listener: listener,
		})
	})
	ended := false
	s.end = func() {
		if ended {
			return
		}
		ended = true
		cancel(process.ErrDraining)
		if err := all.Wait(); err != nil {
			t.Errorf("the services ended with %v, want nil", err)
		}
	}
	t.Cleanup(s.end)
}

func (s *inProcess) traffic(t *testing.T) stack.Traffic {
	t.Helper()
	seen, err := s.nats.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	return stack.Traffic{Messages: seen.InMsgs + seen.OutMsgs, Bytes: seen.InBytes + seen.OutBytes}
}

func (s *inProcess) postgres(t *testing.T) pgstat.Counters {
	t.Helper()
	c, err := pgstat.Snapshot(t.Context(), s.dbURL)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// published returns the counters after the services' sessions have ended, when
// Postgres has published their last counts.
func (s *inProcess) published(t *testing.T) pgstat.Counters {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		c := s.postgres(t)
		if c.Sessions == 0 {
			return s.postgres(t)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d sessions are left after the services ended", c.Sessions)
		}
	}
}

// TestCostOfAStep counts and measures no time, so that it passes on a busy
// machine.
func TestCostOfAStep(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), gateLimit)
	defer cancel()
	s := startInProcess(t)
	b3, err := scenario.Parse("b3")
	if err != nil {
		t.Fatal(err)
	}
	do := func(ctx context.Context, seed int64) error { return s.api.Run(ctx, b3.Plan(seed, 0)) }
	// Count after the services have started and finished one run.
	first, _ := load.Load{Workers: 1, First: 1_000_000, Most: 1, Until: time.Now().Add(gateLimit)}.Drive(ctx, do)
	if len(first) != 1 || first[0].Err != nil {
		t.Fatalf("first run = %+v, want one that succeeds", first)
	}
	s.mock.Reset()

	before := stack.Reading{PG: s.postgres(t), NATS: s.traffic(t)}
	runs, took := load.Load{Workers: gateWorkers, First: 1, Most: gateRuns, Until: time.Now().Add(gateLimit)}.Drive(ctx, do)
	after := stack.Reading{NATS: s.traffic(t)}
	s.end()
	after.PG = s.published(t)

	got := audit.Of(b3, runs, s.mock.Ledger())
	cost := report.NewPerStep(after.Sub(before), len(runs)*b3.Steps())
	t.Logf("%d runs of %d steps in %s: a step took %.3f commits, %.3f write transactions, %.3f statements, %.2f NATS messages of %.0f bytes, "+
		"%.3f calls for each tool call", len(runs), b3.Steps(), took.Round(time.Millisecond), cost.Commits, cost.Writes, cost.Statements,
		cost.Messages, cost.MessageBytes, got.CallsPerTool)
	if len(runs) != gateRuns {
		t.Errorf("%d runs, want %d", len(runs), gateRuns)
	}
	for _, fault := range gate.Check(cost, got) {
		t.Error(fault)
	}
	if cost.Commits < 0.05 || cost.Statements < 0.05 || cost.Messages < 1 {
		t.Errorf("a step took %.3f commits, %.3f statements and %.2f messages: nothing was counted", cost.Commits, cost.Statements, cost.Messages)
	}
}
