// Package runnertest gives the tests of the tool-runner a broker with its
// streams, a tool server, and the answers of a loop-orchestrator.
package runnertest

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/registry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// Timeout bounds each wait of a test.
const Timeout = 20 * time.Second

// Pool is the pool of the tools.
const Pool = "default"

// Stand is a broker with its streams, a tool server, and a registry of its
// tools.
type Stand struct {
	*bus.Bus
	Broker      *bustest.Broker
	Tools       *registry.Registry
	Runtime     *process.Runtime
	Calls       atomic.Int64
	Logs        *observer.ObservedLogs
	Asked       atomic.Int64
	Lost        atomic.Int64                      // earlier calls, as the last question reports them
	FixedAnswer atomic.Pointer[stepv1.ToolAnswer] // the answer to each question; nil: by the stored results
	Events      chan *stepv1.StepEvent            // results as they are stored
}

// New serves tool under the names plain, once (at most once), guarded (without
// allow_private), brief (200 ms) and locked (whose credential is absent).
func New(t *testing.T, tool http.HandlerFunc, change ...func(*bus.Config)) *Stand {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	s := &Stand{
		Broker: bustest.NewBroker(t), Logs: logs, Events: make(chan *stepv1.StepEvent, 100),
		Runtime: process.NewRuntime("tool-runner", process.Config{}, zap.New(core)),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Calls.Add(1)
		tool(w, r)
	}))
	t.Cleanup(func() {
		server.CloseClientConnections() // handlers that wait see it
		server.Close()
	})
	none := registry.Credential{Env: "WINDLASS_TEST_NO_SUCH_SECRET"}
	var err error
	s.Tools, err = registry.New(registry.File{Tools: []registry.Tool{
		{Name: "plain", URL: server.URL, AllowPrivate: true},
		{Name: "once", URL: server.URL, AllowPrivate: true, Effect: registry.AtMostOnce},
		{Name: "guarded", URL: server.URL},
		{Name: "brief", URL: server.URL, AllowPrivate: true, Timeout: 200 * time.Millisecond},
		// Run refuses to serve its pool.
		{Name: "locked", URL: server.URL, AllowPrivate: true, Credential: none, Pool: "vault"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.Bus = bustest.Connect(t, s.Broker, change...)
	if err := s.Ensure(t.Context(), bus.Topology{Pools: []string{Pool}}); err != nil {
		t.Fatalf("Ensure: %v", err)
	}
	s.RunUntilEnd(t, func(ctx context.Context) error { return s.Answer(ctx, 2, s.orchestrator) })
	s.RunUntilEnd(t, func(ctx context.Context) error {
		keep := func(_ context.Context, d consume.Delivery) error {
			s.Events <- d.Event
			return nil
		}
		return s.Run(ctx, consume.Config{Work: consume.ResultWork(), Slots: 1, Handle: keep})
	})
	return s
}

// orchestrator answers by the results that are stored, as for a row that waits.
func (s *Stand) orchestrator(ctx context.Context, q *stepv1.ToolQuestion) (*stepv1.ToolAnswer, error) {
	s.Asked.Add(1)
	s.Lost.Store(int64(q.GetDeliveries()) - 1)
	if a := s.FixedAnswer.Load(); a != nil {
		return a, nil
	}
	a := &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE}
	err := s.ToolResults(ctx, q.GetTenant(), q.GetIdentity().GetRequestId(), func(e *stepv1.StepEvent) bool {
		if proto.Equal(e.GetIdentity(), q.GetIdentity()) {
			a.Verdict = stepv1.ToolVerdict_TOOL_VERDICT_DONE
		}
		return true
	})
	return a, err
}

// RunUntilEnd runs f until the test ends or stop is called, and fails the test
// if f fails or does not end.
func (s *Stand) RunUntilEnd(t *testing.T, f func(context.Context) error) (stop func()) {
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
		case <-time.After(Timeout):
			t.Error("Run has not ended")
		}
	}
	t.Cleanup(stop)
	return stop
}

// NextEvent waits for the next result.
func (s *Stand) NextEvent(t *testing.T) *stepv1.StepEvent {
	t.Helper()
	select {
	case e := <-s.Events:
		return e
	case <-time.After(Timeout):
		t.Fatal("no result was published")
		return nil
	}
}

// WaitForLog waits until a line is logged.
func (s *Stand) WaitForLog(t *testing.T, message string) {
	t.Helper()
	for began := time.Now(); s.Logs.FilterMessage(message).Len() == 0; <-time.After(5 * time.Millisecond) {
		if time.Since(began) > Timeout {
			t.Fatalf("%q was not logged", message)
		}
	}
}

// WantCalls checks how often the tool was called.
func (s *Stand) WantCalls(t *testing.T, want int64) {
	t.Helper()
	if got := s.Calls.Load(); got != want {
		t.Errorf("tool was called %d times, want %d", got, want)
	}
}

// Command returns a new command for a tool.
func Command(tool string) *stepv1.ToolCommand {
	id := uuid.New()
	hex := make([]byte, 0, 32)
	for _, c := range id.String() {
		if c != '-' {
			hex = append(hex, byte(c))
		}
	}
	return &stepv1.ToolCommand{
		Identity: &stepv1.StepIdentity{RequestId: string(hex), Epoch: 1, Turn: 2, Index: 3, Attempt: 1},
		Tenant:   "default", Pool: Pool, Tool: tool, CallId: "call_1", Arguments: []byte(`{"n":1}`),
		InputHash: []byte("hash"), IdempotencyKey: "key-" + string(hex), DispatchToken: []byte("token"),
		Remaining: durationpb.New(time.Hour),
	}
}

// Delivery returns the nth delivery of a command.
func Delivery(c *stepv1.ToolCommand, n int) consume.Delivery {
	subject := "windlass.tool.default." + c.GetTool() + "." + c.GetIdentity().GetRequestId()
	return consume.Delivery{Tool: c, Delivered: n, Stored: time.Now(), Subject: subject}
}

// Answer is a tool that answers "sunny".
func Answer(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sunny") }

// Sunny returns the result of a command whose tool answered.
func Sunny(c *stepv1.ToolCommand) *stepv1.StepEvent {
	return &stepv1.StepEvent{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), Name: c.GetTool(), CallId: c.GetCallId(),
		Event: &stepv1.StepEvent_ToolCompleted{ToolCompleted: &stepv1.ToolCompleted{
			Output: []byte("sunny"), Size: 5, InputHash: c.GetInputHash(), DispatchToken: c.GetDispatchToken(),
		}},
	}
}

// SameEvent compares events without their times.
var SameEvent = cmp.Options{
	protocmp.Transform(),
	protocmp.IgnoreFields(&stepv1.StepEvent{}, "event_time"),
	protocmp.IgnoreFields(&stepv1.ToolCompleted{}, "took_us"),
	protocmp.IgnoreFields(&stepv1.ToolFailed{}, "took_us"),
}

// WantEvent checks the next result.
func (s *Stand) WantEvent(t *testing.T, want *stepv1.StepEvent) {
	t.Helper()
	if diff := cmp.Diff(want, s.NextEvent(t), SameEvent); diff != "" {
		t.Errorf("result differs (-want +got):\n%s", diff)
	}
}

// WantNoEvent checks that no result was published.
func (s *Stand) WantNoEvent(t *testing.T) {
	t.Helper()
	select {
	case e := <-s.Events:
		t.Errorf("result %v was published, want none", e)
	default:
	}
}

// Receive waits for a value of a channel.
func Receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Timeout):
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}
