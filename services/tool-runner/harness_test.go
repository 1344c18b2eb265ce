package toolrunner

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/httptool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of these tests; none should come near it.
const patience = 20 * time.Second

const pool = "default"

// harness is a broker with its streams, a tool server, and a registry of its tools.
type harness struct {
	*bus.Bus
	broker *bustest.Broker
	tools  *registry.Registry
	rt     *process.Runtime
	calls  atomic.Int64
	logs   *observer.ObservedLogs
	asked  atomic.Int64
	answer atomic.Pointer[stepv1.ToolAnswer] // if set, the answer to every question
	events chan *stepv1.StepEvent            // results as they are stored
}

// setUp serves tool under the names plain, once (at most once), guarded (without allow_private), brief (200 ms) and locked
// (whose credential is not there).
func setUp(t *testing.T, tool http.HandlerFunc, change ...func(*bus.Config)) *harness {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	h := &harness{
		broker: bustest.NewBroker(t), logs: logs, events: make(chan *stepv1.StepEvent, 100),
		rt: process.NewRuntime(service, process.Config{}, zap.New(core)),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.calls.Add(1)
		tool(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // handlers that wait see it
		server.Close()
	})
	none := registry.Credential{Env: "WINDLASS_TEST_NO_SUCH_SECRET"}
	var err error
	h.tools, err = registry.New(registry.File{Tools: []registry.Tool{
		{Name: "plain", URL: server.URL, AllowPrivate: true},
		{Name: "once", URL: server.URL, AllowPrivate: true, Effect: registry.AtMostOnce},
		{Name: "guarded", URL: server.URL},
		{Name: "brief", URL: server.URL, AllowPrivate: true, Timeout: 200 * time.Millisecond},
		{Name: "locked", URL: server.URL, AllowPrivate: true, Credential: none, Pool: "vault"}, // Run refuses to serve its pool
	}})
	if err != nil {
		t.Fatal(err)
	}
	h.Bus = bustest.Connect(t, h.broker, change...)
	if err := h.Ensure(t.Context(), bus.Topology{Pools: []string{pool}}); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	h.background(t, func(ctx context.Context) error { return h.Answer(ctx, 2, h.orchestrator) })
	h.background(t, func(ctx context.Context) error {
		return h.Run(ctx, bus.RunConfig{Work: bus.ResultWork(), Slots: 1, Handle: func(_ context.Context, d bus.Delivery) error {
			h.events <- d.Event
			return nil
		}})
	})
	return h
}

// orchestrator answers by the results that are stored, as for a row that waits.
func (h *harness) orchestrator(ctx context.Context, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
	h.asked.Add(1)
	if a := h.answer.Load(); a != nil {
		return a, nil
	}
	a := &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE}
	err := h.ToolResults(ctx, q.GetTenant(), q.GetIdentity().GetRequestId(), time.Now().Add(-time.Minute),
		func(e *stepv1.StepEvent, _ time.Time) bool {
			if proto.Equal(e.GetIdentity(), q.GetIdentity()) {
				a.Verdict = stepv1.ToolVerdict_TOOL_VERDICT_DONE
			}
			return true
		})
	return a, err
}

// background runs f until the test ends or the returned function is called, and fails the test if f fails or does not end.
func (h *harness) background(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel(process.ErrDraining)
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run = %v, want nil after a drain", err)
			}
		case <-time.After(patience):
			t.Error("Run has not ended")
		}
	}
	t.Cleanup(stop)
	return stop
}

// serve runs the service.
func (h *harness) serve(t *testing.T, grace time.Duration) (stop func()) {
	t.Helper()
	return h.background(t, func(ctx context.Context) error {
		return Run(ctx, Config{
			Bus: bustest.Config(h.broker), Pools: []string{pool}, Slots: 8, Grace: grace, Registry: h.tools, Runtime: h.rt,
		})
	})
}

// runner is the handler without its consumer.
func (h *harness) runner(t *testing.T) *runner {
	t.Helper()
	client := httptool.New(4)
	t.Cleanup(client.Close)
	return &runner{
		bus: h.Bus, tools: h.tools, client: client, flights: newFlights(),
		log: h.rt.Log, metrics: process.NewMetrics(h.rt.Metrics, service),
	}
}

// event waits for the next result.
func (h *harness) event(t *testing.T) *stepv1.StepEvent {
	t.Helper()
	select {
	case e := <-h.events:
		return e
	case <-time.After(patience):
		t.Fatal("no result was published")
		return nil
	}
}

// logged waits until a line was logged.
func (h *harness) logged(t *testing.T, message string) {
	t.Helper()
	for began := time.Now(); h.logs.FilterMessage(message).Len() == 0; <-time.After(5 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatalf("%q was not logged", message)
		}
	}
}

// wantCalls checks how often the tool was called.
func (h *harness) wantCalls(t *testing.T, want int64) {
	t.Helper()
	if got := h.calls.Load(); got != want {
		t.Errorf("tool was called %d times, want %d", got, want)
	}
}

// command is a new command for a tool.
func command(tool string) *stepv1.ToolCommand {
	id := uuid.New()
	hex := make([]byte, 0, 32)
	for _, c := range id.String() {
		if c != '-' {
			hex = append(hex, byte(c))
		}
	}
	return &stepv1.ToolCommand{
		Identity: &stepv1.StepIdentity{RequestId: string(hex), Epoch: 1, Turn: 2, Index: 3, Attempt: 1},
		Tenant:   "default", Pool: pool, Tool: tool, CallId: "call_1", Arguments: []byte(`{"n":1}`),
		InputHash: []byte("hash"), IdempotencyKey: "key-" + string(hex), DispatchToken: []byte("token"),
		DeadlineTime: timestamppb.New(time.Now().Add(time.Hour)),
	}
}

// delivery is a command as a handler gets it, the nth time.
func delivery(c *stepv1.ToolCommand, n int) bus.Delivery {
	return bus.Delivery{Tool: c, Delivered: n, Subject: "windlass.tool.default." + c.GetTool() + "." + c.GetIdentity().GetRequestId()}
}
