package bus_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// patience bounds every wait of these tests; none should come near it.
const patience = 15 * time.Second

const (
	lane = "m1"
	pool = "default"
)

// topology of nearly all tests.
func topology() bus.Topology {
	return bus.Topology{Lanes: []bus.Lane{{Name: lane, Concurrency: 64}}, Pools: []string{pool}}
}

// fixture is a server with the topology, a bus to it, and a bare connection for
// looking and breaking.
type fixture struct {
	*bus.Bus
	broker *bustest.Broker
	js     jetstream.JetStream
	nc     *nats.Conn
}

func setUp(tb testing.TB, change ...func(*bus.Config)) *fixture {
	tb.Helper()
	broker := bustest.NewBroker(tb)
	nc, err := nats.Connect("", nats.InProcessServer(broker), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		tb.Fatalf("open JetStream: %v", err)
	}
	f := &fixture{Bus: bustest.Connect(tb, broker, change...), broker: broker, js: js, nc: nc}
	if err := f.Ensure(tb.Context(), topology()); err != nil {
		tb.Fatalf("Ensure: %v", err)
	}
	return f
}

func ackWait(d time.Duration) func(*bus.Config) {
	return func(c *bus.Config) { c.AckWait = d }
}

func requestID(n int) string { return fmt.Sprintf("%032x", n) }

func identity(n int) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{RequestId: requestID(n), Epoch: 1, Turn: 1, Index: 1, Attempt: 1}
}

func turn(n int) message.Message {
	return message.Turn(&stepv1.TurnCommand{Identity: identity(n), Lane: lane})
}

func tool(n int) message.Message {
	return message.Tool(&stepv1.ToolCommand{Identity: identity(n), Tenant: "acme", Pool: pool, Tool: "search"})
}

func completed(n int) message.Message {
	return message.Event(&stepv1.StepEvent{Identity: identity(n), Tenant: "acme", Event: &stepv1.StepEvent_ToolCompleted{
		ToolCompleted: &stepv1.ToolCompleted{Output: []byte("fine")},
	}})
}

func failed(n int) message.Message {
	return message.Event(&stepv1.StepEvent{Identity: identity(n), Tenant: "acme", Event: &stepv1.StepEvent_ToolFailed{
		ToolFailed: &stepv1.ToolFailed{Failure: &stepv1.Failure{Code: "timeout"}},
	}})
}

func started(n int) message.Message {
	return message.Event(&stepv1.StepEvent{Identity: identity(n), Tenant: "acme", Event: &stepv1.StepEvent_ToolStarted{
		ToolStarted: &stepv1.ToolStarted{},
	}})
}

func (f *fixture) publish(tb testing.TB, msgs ...message.Message) {
	tb.Helper()
	refused, err := f.Publish(tb.Context(), msgs...)
	if err != nil || refused != 0 {
		tb.Fatalf("Publish = %d refused, %v; want 0, nil", refused, err)
	}
}

// insist publishes as every caller of Publish does: what failed may not have
// been stored, and goes out again as a repeat. A server that deletes a stream
// leaves a publish without an answer until its subscriptions are gone.
func (f *fixture) insist(tb testing.TB, msgs ...message.Message) {
	tb.Helper()
	var err error
	for range 3 {
		if _, err = f.Publish(tb.Context(), msgs...); err == nil {
			return
		}
		for i, m := range msgs {
			msgs[i] = m.AsRepeat()
		}
	}
	tb.Fatalf("Publish failed three times, at last by %v", err)
}

// start runs f until stop is called or the test ends, and fails the test if f
// returns an error.
func start(tb testing.TB, f func(ctx context.Context) error) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		tb.Helper()
		cancel()
		if stopped {
			return
		}
		stopped = true
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("run ended with %v, want nil", err)
			}
		case <-time.After(patience):
			tb.Errorf("run did not end within %v", patience)
		}
	}
	tb.Cleanup(stop)
	return stop
}

// run starts a Run with defaults for what cfg leaves out.
func (f *fixture) run(tb testing.TB, cfg consume.Config) (stop func()) {
	tb.Helper()
	if cfg.Slots == 0 {
		cfg.Slots = 4
	}
	return start(tb, func(ctx context.Context) error { return f.Run(ctx, cfg) })
}

func receive[T any](tb testing.TB, ch <-chan T, what string) T {
	tb.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		tb.Fatalf("no %s within %v", what, patience)
		panic("unreachable")
	}
}

// eventually polls until ok, with a deadline.
func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// queued counts the messages of a stream.
func (f *fixture) queued(tb testing.TB, stream string) int {
	tb.Helper()
	s, err := f.js.Stream(tb.Context(), stream)
	if err != nil {
		tb.Fatalf("look at %s: %v", stream, err)
	}
	return int(s.CachedInfo().State.Msgs)
}
