package bus_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
)

// recovery is the longest an installation may take to go on after a fault.
const recovery = 5 * time.Second

func checkTook(tb testing.TB, began time.Time, what string) {
	tb.Helper()
	if took := time.Since(began); took > recovery {
		tb.Errorf("%s took %v, want at most %v", what, took, recovery)
	}
}

func TestConsumerDeletedWhileRunningIsMadeAgain(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan consume.Delivery, 9)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d })})
	f.publish(t, turn(1))
	receive(t, got, "delivery before")
	eventually(t, "turn is acknowledged", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
	if err := f.js.DeleteConsumer(t.Context(), "WINDLASS_TURN", "turn_m1"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f.insist(t, turn(2))
	receive(t, got, "delivery after")
	checkTook(t, began, "recovery of the consumer")
}

func TestStreamDeletedWhileRunningIsMadeAgainAndReported(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan string, 9)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d.Turn.GetIdentity().GetRequestId() })})
	lost := make(chan string, 99)
	start(t, func(ctx context.Context) error { return f.WatchStreams(ctx, func(s string) { lost <- s }) })
	f.publish(t, turn(1), tool(1))
	receive(t, got, "delivery before")
	idleWatch(t, lost)
	if err := f.js.DeleteStream(t.Context(), "WINDLASS_TURN"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if s := receive(t, lost, "report of a loss"); s != "WINDLASS_TURN" {
		t.Errorf("lost %s, want WINDLASS_TURN", s)
	}
	made := f.createdAt(t, "WINDLASS_TURN")
	f.insist(t, turn(2))
	if id := receive(t, got, "delivery after"); id != requestID(2) {
		t.Errorf("delivered %s, want %s", id, requestID(2))
	}
	checkTook(t, began, "recovery of the stream")
	if f.createdAt(t, "WINDLASS_TURN").Equal(made) { // or else a slow deletion took the files of the second stream, and it is reported, too
		idleWatch(t, lost)
	}
}

// idleWatch lets the watch look at least once and fails if it reports anything.
func idleWatch(tb testing.TB, lost <-chan string) {
	tb.Helper()
	select {
	case s := <-lost:
		tb.Errorf("%s was reported lost, want nothing", s)
	case <-time.After(2500 * time.Millisecond):
	}
}

func TestEverythingWipedIsMadeAgainAndReportedOnce(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan consume.Delivery, 9)
	f.run(t, consume.Config{Work: consume.ToolWork(pool), Handle: handle(func(d consume.Delivery) { got <- d })})
	f.runBatches(t, consume.Config{HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		for _, d := range ds {
			got <- d
		}
		return nil
	}})
	lost := make(chan string, 99)
	start(t, func(ctx context.Context) error { return f.WatchStreams(ctx, func(s string) { lost <- s }) })
	f.publish(t, tool(1), completed(1))
	receive(t, got, "first delivery before")
	receive(t, got, "second delivery before")
	idleWatch(t, lost)
	f.broker.Stop()
	f.broker.Wipe()
	f.broker.Start()
	began := time.Now()
	reports := make(map[string]int)
	for range 7 {
		reports[receive(t, lost, "report of a loss")]++
	}
	if len(reports) != 7 {
		t.Errorf("reports = %v, want every stream once", reports)
	}
	f.insist(t, tool(2), completed(2))
	receive(t, got, "first delivery after")
	receive(t, got, "second delivery after")
	checkTook(t, began, "recovery of everything")
	idleWatch(t, lost)
}

func TestRestartLosesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan string, 9)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d.Turn.GetIdentity().GetRequestId() })})
	lost := make(chan string, 99)
	start(t, func(ctx context.Context) error { return f.WatchStreams(ctx, func(s string) { lost <- s }) })
	f.publish(t, turn(1))
	receive(t, got, "delivery before")
	idleWatch(t, lost)
	f.broker.Stop()
	f.broker.Start()
	began := time.Now()
	eventually(t, "publish works again", func() bool {
		_, err := f.Publish(t.Context(), turn(2).AsRepeat())
		return err == nil
	})
	for id := ""; id != requestID(2); {
		id = receive(t, got, "delivery after")
	}
	checkTook(t, began, "recovery after a restart")
	idleWatch(t, lost)
}

func TestRunStartedBeforeTheStreamsExist(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	b := bustest.Connect(t, broker)
	got := make(chan consume.Delivery, 1)
	start(t, func(ctx context.Context) error {
		return b.Run(ctx, consume.Config{Work: consume.TurnWork(lane), Slots: 1, Handle: handle(func(d consume.Delivery) { got <- d })})
	})
	if err := b.Ensure(t.Context(), topology()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), turn(1)); err != nil {
		t.Fatal(err)
	}
	receive(t, got, "delivery")
}

func TestEnsureWaitsForTheServer(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	broker.Stop()
	b := bustest.Connect(t, broker)
	done := make(chan error, 1)
	go func() { done <- b.Ensure(t.Context(), topology()) }()
	select {
	case err := <-done:
		t.Fatalf("Ensure without a server = %v, want it to wait", err)
	case <-time.After(300 * time.Millisecond):
	}
	broker.Start()
	if err := receive(t, done, "end of Ensure"); err != nil {
		t.Errorf("Ensure = %v, want nil", err)
	}
}

func TestEnsureRepairsInPlace(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1))
	s, err := f.js.Stream(t.Context(), "WINDLASS_TURN")
	if err != nil {
		t.Fatal(err)
	}
	c := s.CachedInfo().Config
	c.DiscardNewPerSubject, c.MaxMsgsPerSubject, c.AllowDirect, c.Metadata = false, -1, false, map[string]string{"owner": "ops"}
	if _, err := f.js.UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := f.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: lane, Concurrency: 3}}}); err != nil {
		t.Fatal(err)
	}
	s, err = f.js.Stream(t.Context(), "WINDLASS_TURN")
	if err != nil {
		t.Fatal(err)
	}
	info := s.CachedInfo()
	if c := info.Config; !c.DiscardNewPerSubject || c.MaxMsgsPerSubject != 1 || !c.AllowDirect || c.Metadata["owner"] != "ops" {
		t.Errorf("stream after Ensure = %+v, want it repaired and the operator's metadata kept", c)
	}
	if info.State.Msgs != 1 {
		t.Errorf("messages after Ensure = %d, want 1", info.State.Msgs)
	}
	consumer, err := f.js.Consumer(t.Context(), "WINDLASS_TURN", "turn_m1")
	if err != nil {
		t.Fatal(err)
	}
	if got := consumer.CachedInfo().Config.MaxAckPending; got != 3 {
		t.Errorf("MaxAckPending = %d, want 3", got)
	}
	if _, err := f.js.Consumer(t.Context(), "WINDLASS_TOOL", "tool_default"); err != nil {
		t.Errorf("consumer that is no longer named: %v, want it kept", err)
	}
}

func TestEnsureChangesNothingTwice(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	audit, err := f.nc.SubscribeSync("$JS.EVENT.ADVISORY.API")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// Advisories of the first Ensure may still be on their way, so the second
	// is another client's.
	began := time.Now()
	if err := bustest.Connect(t, f.broker).Ensure(t.Context(), topology()); err != nil {
		t.Fatal(err)
	}
	for seen := 0; seen < 6+4; { // six streams, four consumers
		msg, err := audit.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		var call struct {
			Client  struct{ Start time.Time }
			Subject string
		}
		if err := json.Unmarshal(msg.Data, &call); err != nil {
			t.Fatal(err)
		}
		if call.Client.Start.Before(began) { // by the same machine's clock
			continue
		}
		seen++
		if !strings.HasPrefix(call.Subject, "$JS.API.STREAM.INFO.") && !strings.HasPrefix(call.Subject, "$JS.API.CONSUMER.INFO.") {
			t.Errorf("a second Ensure did more than look: %.400s", msg.Data)
		}
	}
}

func TestEnsureRefusesALaneWithoutConcurrency(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	if err := f.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: lane}}}); err == nil {
		t.Error("Ensure of a lane with concurrency 0 = nil, want an error")
	}
}
