// Package stack runs a whole Windlass inside a test: the five services, a real
// Postgres, a real NATS server, and the scripted model and tools of package
// mock.
//
// It promises that a test reads what a client of the API reads, that every
// terminal answer conforms to the specification, and that nothing is left when
// the test ends. It does not promise durability: Postgres runs without fsync,
// and a stack is stopped, never killed.
//
// A package that uses it needs a TestMain that calls [Main].
package stack

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/store/migrations"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/pkg/store/roletest"
	"windlass.dev/windlass/pkg/store/storetest"
	"windlass.dev/windlass/services/claimer"
	"windlass.dev/windlass/services/finalizer"
	"windlass.dev/windlass/services/gateway"
	"windlass.dev/windlass/services/internal/worker"
	looporchestrator "windlass.dev/windlass/services/loop-orchestrator"
	"windlass.dev/windlass/services/mock"
	toolrunner "windlass.dev/windlass/services/tool-runner"
)

const (
	apiKey      = "wl-stack-test-key"
	keyPepper   = "stack-test-pepper"
	dispatchKey = "stack-test-dispatch-key"
	sealKey     = "stack-test-seal-key"
	conns       = 4 // of each service
	grace       = 500 * time.Millisecond
	// ackWait is production's: on a busy machine a shorter lease lapses, and
	// calls are repeated.
	ackWait = 4 * time.Second
	// patience bounds every wait for what takes milliseconds.
	patience = 30 * time.Second
)

// Main runs the package's tests, then stops the database server and checks for
// leaked goroutines. It does not return.
func Main(m *testing.M) {
	// pgxpool's health check ends a moment after Close returns.
	goleak.VerifyTestMain(storetest.Suite{M: m},
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgxpool.(*Pool).backgroundHealthCheck"))
}

// Stack is a running Windlass. It is safe for concurrent use; its methods take
// the test, so that subtests can share a stack.
type Stack struct {
	URL         string // of the API, without a slash at the end
	Key         string // bearer token of clients
	Mock        *mock.Server
	MockURL     string
	DatabaseURL string // for the test itself
	roles       roletest.Roles
	Registry    *registry.Registry
	Logs        *observer.ObservedLogs // of all services, from the level Info
	Broker      *bustest.Broker

	http   *http.Client
	change func(*bus.Config)
}

// Option changes the registry before the services start. The file has the
// models and tools that Start describes; mockURL is where they are served.
type Option func(file *registry.File, mockURL string)

// Limits sets the budgets of every request.
func Limits(l registry.Limits) Option {
	return func(file *registry.File, _ string) { file.Limits = l }
}

// Start runs a stack that ends with the test. Its model is "mock"; its tools
// are mock_echo (at_least_once), mock_idempotent and mock_once (at_most_once).
// A tool call takes at most 2 s, a model call at most 3 s. Both have 3 attempts
// if they may be repeated.
func Start(tb testing.TB, opts ...Option) *Stack {
	tb.Helper()
	return StartOn(tb, func(*bus.Config) {}, opts...)
}

// StartOn is Start with a change of the bus's configuration.
func StartOn(tb testing.TB, change func(*bus.Config), opts ...Option) *Stack {
	tb.Helper()
	s := &Stack{Key: apiKey, Mock: mock.New(), change: change}
	upstream := httptest.NewServer(s.Mock)
	tb.Cleanup(upstream.Close)
	tb.Cleanup(s.Mock.Close) // before upstream.Close, which waits for the calls that hang
	s.MockURL = upstream.URL
	s.Registry = buildRegistry(tb, upstream.URL, opts)
	s.Broker = bustest.NewBroker(tb)
	s.DatabaseURL = storetest.Database(tb, migrate)
	s.roles = roletest.Granted(tb, s.DatabaseURL)
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("listen for the API: %v", err)
	}
	s.URL = "http://" + listener.Addr().String()
	var core zapcore.Core
	core, s.Logs = observer.New(zapcore.InfoLevel)
	tb.Cleanup(func() { s.printLogs(tb) })
	rt := process.NewRuntime("stack", process.Config{}, zap.New(core))
	s.run(tb, s.parts(tb, s.Broker, rt, listener))
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	tb.Cleanup(transport.CloseIdleConnections)
	s.http = &http.Client{Transport: transport, Timeout: patience}
	s.await(tb, "readiness", func() bool { return rt.Health.Ready(tb.Context()) == nil })
	s.await(tb, "a first response", func() bool { // opens the first connections and prepares statements
		status, _ := s.Do(tb, http.MethodPost, "/v1/responses", body(tb, mock.Plan{Rounds: 1}, nil))
		return status == http.StatusOK
	})
	s.Mock.Reset()
	return s
}

// printLogs prints the warnings and errors of the services if the test failed.
func (s *Stack) printLogs(tb testing.TB) {
	if !tb.Failed() {
		return
	}
	const most = 50
	bad := s.Logs.Filter(func(e observer.LoggedEntry) bool { return e.Level >= zapcore.WarnLevel }).All()
	for _, e := range bad[:min(len(bad), most)] {
		tb.Logf("%s %s %s %v", e.Time.Format(time.TimeOnly), e.Level, e.Message, e.ContextMap())
	}
}

func migrate(ctx context.Context, url string) error {
	_, err := migrations.Apply(ctx, url)
	return err
}

// buildRegistry returns the registry that Start describes, as changed by opts.
func buildRegistry(tb testing.TB, mockURL string, opts []Option) *registry.Registry {
	tb.Helper()
	tool := func(name string, effect registry.Effect) registry.Tool {
		t := registry.Tool{
			Name: name, Description: "Answers a number that follows from its arguments.",
			Parameters: registry.Schema(mock.ToolSchema),
			URL:        mockURL + "/tools/" + name, AllowPrivate: true, Timeout: 2 * time.Second, Effect: effect,
		}
		if effect != registry.AtMostOnce {
			t.Attempts = 3
		}
		return t
	}
	file := registry.File{
		Models: []registry.Model{{
			Name: "mock", Upstream: registry.Upstream{URL: mockURL + "/v1"},
			Concurrency: 256, Timeout: 3 * time.Second, Attempts: 3,
		}},
		Tools: []registry.Tool{
			tool("mock_echo", registry.AtLeastOnce),
			tool("mock_idempotent", registry.Idempotent),
			tool("mock_once", registry.AtMostOnce),
		},
	}
	for _, change := range opts {
		change(&file, mockURL)
	}
	reg, err := registry.New(file)
	if err != nil {
		tb.Fatalf("build the registry: %v", err)
	}
	return reg
}

// parts returns the Run functions of the five services.
// Each has its own database role.
func (s *Stack) parts(
	tb testing.TB, broker *bustest.Broker, rt *process.Runtime, api net.Listener,
) []func(context.Context) error {
	db := func(service string) postgres.Config {
		return postgres.Config{URL: s.roles.URL(tb, service), MaxConns: conns}
	}
	nats := bustest.Config(broker)
	nats.AckWait = ackWait
	s.change(&nats)
	common := func(name string) worker.Config {
		return worker.Config{
			Store: db(name), Bus: nats, DispatchKey: dispatchKey, Grace: grace,
			Registry: s.Registry, Runtime: rt.For(name),
		}
	}
	return []func(context.Context) error{
		func(ctx context.Context) error { return claimer.Run(ctx, claimer.Config{Config: common("claimer")}) },
		func(ctx context.Context) error {
			return looporchestrator.Run(ctx, looporchestrator.Config{
				Config: common("loop-orchestrator"), Slots: 256, ResultBatch: 256, SealKeys: sealKey,
			})
		},
		func(ctx context.Context) error {
			return finalizer.Run(ctx, finalizer.Config{Config: common("finalizer"), Slots: 64})
		},
		func(ctx context.Context) error {
			return toolrunner.Run(ctx, toolrunner.Config{
				Bus: nats, Slots: 128, Grace: grace, Registry: s.Registry, Runtime: rt.For("tool-runner"),
			})
		},
		func(ctx context.Context) error {
			return gateway.Run(ctx, gateway.Config{
				Store: db("gateway"), Bus: nats, APIKey: s.Key, KeyPepper: keyPepper, SealKeys: sealKey,
				MaxBody: 16 << 20, BacklogMax: 10_000, PollInterval: time.Second, DrainGrace: grace,
				Registry: s.Registry, Runtime: rt.For("gateway"), Listener: api,
			})
		},
	}
}

// run starts the parts and drains them at the end of the test.
func (s *Stack) run(tb testing.TB, parts []func(context.Context) error) {
	tb.Helper()
	ctx, drain := context.WithCancelCause(context.WithoutCancel(tb.Context()))
	all, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		all.Go(func() error { return part(ctx) })
	}
	ended := make(chan error, 1)
	go func() { ended <- all.Wait() }()
	tb.Cleanup(func() {
		drain(process.ErrDraining)
		select {
		case err := <-ended:
			if err != nil {
				tb.Errorf("a service ended with %v", err)
			}
		case <-time.After(patience):
			tb.Errorf("the services have not ended %v after the drain began", patience)
		}
	})
}

// await polls until ok returns true.
func (s *Stack) await(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			tb.Fatalf("%s did not come about in %v", what, patience)
		}
	}
}
