package bus_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// small is a limit that a test fills with a few dozen messages.
const small = 16 << 10

func smallStreams(c *bus.Config) {
	c.MaxBytes = bus.MaxBytes{Turn: small, Tool: small, Final: small, Step: small, Mark: small, Live: small, Dead: small}
}

func final(n int) message.Message {
	return message.Final(&stepv1.FinalCommand{RequestId: requestID(n), Epoch: 1})
}

func sized(n, size int) message.Message {
	return message.Event(&stepv1.StepEvent{Identity: identity(n), Tenant: "acme", Event: &stepv1.StepEvent_ToolCompleted{
		ToolCompleted: &stepv1.ToolCompleted{Output: bytes.Repeat([]byte("x"), size)},
	}})
}

// TestFullWorkQueueRefuses holds that a command that a full queue refuses is
// not taken for one that it has, and is accepted once there is room.
func TestFullWorkQueueRefuses(t *testing.T) {
	t.Parallel()
	for name, queue := range map[string]struct {
		stream  string
		command func(int) message.Message
		work    consume.Work
	}{
		"turns":  {"WINDLASS_TURN", turn, consume.TurnWork(lane)},
		"tools":  {"WINDLASS_TOOL", tool, consume.ToolWork(pool)},
		"finals": {"WINDLASS_FINAL", final, consume.FinalWork()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setUp(t, smallStreams)
			stored := 0
			var err error
			for ; stored < 1000 && err == nil; stored++ {
				_, err = f.Publish(t.Context(), queue.command(stored))
			}
			stored--
			if !errors.Is(err, bus.ErrFull) || stored < 10 {
				t.Fatalf("publish %d = %v, want ErrFull after some", stored, err)
			}
			if refused, err := f.Publish(t.Context(), queue.command(0)); refused != 1 || err != nil {
				t.Errorf("publish of a queued command into a full stream = %d, %v; want 1, nil", refused, err)
			}
			if refused, err := f.Publish(t.Context(), queue.command(stored)); refused != 0 || !errors.Is(err, bus.ErrFull) {
				t.Errorf("publish of a new command into a full stream = %d, %v; want 0 and ErrFull", refused, err)
			}
			if got := f.queued(t, queue.stream); got != stored {
				t.Errorf("%d commands are queued, want the %d that were accepted", got, stored)
			}
			f.run(t, consume.Config{Work: queue.work, Handle: func(context.Context, consume.Delivery) error { return nil }})
			eventually(t, "queue is empty", func() bool { return f.queued(t, queue.stream) == 0 })
			f.publish(t, queue.command(stored))
		})
	}
}

func TestErrFullMeansThatNothingElseFailed(t *testing.T) {
	t.Parallel()
	f := setUp(t, smallStreams)
	var err error
	for n := 0; n < 1000 && err == nil; n++ {
		_, err = f.Publish(t.Context(), turn(n))
	}
	huge := sized(1, 2<<20)
	if _, err := f.Publish(t.Context(), turn(2000), huge); errors.Is(err, bus.ErrFull) || !errors.Is(err, bus.ErrTooLarge) {
		t.Errorf("Publish that failed for two reasons = %v, want it not to be ErrFull", err)
	}
	if _, err := f.Publish(t.Context(), turn(2000), completed(1)); !errors.Is(err, bus.ErrFull) {
		t.Errorf("Publish to a full and another stream = %v, want ErrFull", err)
	}
}

// TestFullStepStreamDropsTheOldest holds that results are stored and delivered
// whatever the stream holds, and that results that are dropped before they are
// delivered do not stop those behind them.
func TestFullStepStreamDropsTheOldest(t *testing.T) {
	t.Parallel()
	f := setUp(t, smallStreams)
	for n := range 200 {
		f.publish(t, sized(n, 1<<10)) // no consumer takes them
	}
	if got := f.queued(t, "WINDLASS_STEP"); got < 5 || got > 20 {
		t.Errorf("%d events are kept, want what fits", got)
	}
	var mu sync.Mutex
	seen := map[string]int{}
	hold := make(chan struct{})
	f.runBatches(t, consume.Config{Max: 4, HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		<-hold // the rest of what is delivered is dropped while it is held
		mu.Lock()
		defer mu.Unlock()
		for _, d := range ds {
			seen[d.Event.GetIdentity().GetRequestId()]++
		}
		return nil
	}})
	for n := 200; n < 300; n++ {
		f.publish(t, sized(n, 1<<10))
	}
	close(hold)
	eventually(t, "the newest result is delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[requestID(299)] == 1
	})
	f.publish(t, completed(300))
	eventually(t, "the next result is delivered", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return seen[requestID(300)] == 1
	})
}

// TestFullMarkStreamRefuses holds that a mark is stored or refused, and that no
// earlier one is dropped for it.
func TestFullMarkStreamRefuses(t *testing.T) {
	t.Parallel()
	f := setUp(t, smallStreams)
	marked := 0
	for {
		first, err := f.Begin(t.Context(), pool, startedCall(marked), "")
		if err != nil {
			if !errors.Is(err, bus.ErrFull) {
				t.Fatalf("Begin = %v, want ErrFull", err)
			}
			break
		}
		if !first {
			t.Fatalf("Begin of a new call = false")
		}
		if marked++; marked > 1000 {
			t.Fatal("the stream of marks is not bounded")
		}
	}
	for n := range marked {
		if first, err := f.Begin(t.Context(), pool, startedCall(n), ""); first || err != nil && !errors.Is(err, bus.ErrFull) {
			t.Errorf("Begin of call %d of %d again = %t, %v; want it refused", n, marked, first, err)
		}
	}
}

func TestFullDeadStreamDropsTheOldest(t *testing.T) {
	t.Parallel()
	f := setUp(t, smallStreams)
	for n := range 500 {
		f.publish(t, message.Dead(&stepv1.DeadLetter{Identity: identity(n), Failure: &stepv1.Failure{Code: "poison"}}))
	}
	s, err := f.js.Stream(t.Context(), "WINDLASS_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GetLastMsgForSubject(t.Context(), "windlass.dead."+requestID(499)); err != nil {
		t.Errorf("newest dead letter: %v", err)
	}
	if _, err := s.GetLastMsgForSubject(t.Context(), "windlass.dead."+requestID(0)); !errors.Is(err, jetstream.ErrMsgNotFound) {
		t.Errorf("oldest dead letter: %v, want it dropped", err)
	}
}

// TestFullLiveStreamLosesStreams holds that a writer goes on when the stream
// drops what it wrote, and that a reader who missed it gets ErrLost.
func TestFullLiveStreamLosesStreams(t *testing.T) {
	t.Parallel()
	f := setUp(t, smallStreams)
	w := f.OpenLive(t.Context(), identity(1))
	defer w.Close()
	frame := func() *stepv1.LiveFrame { return &stepv1.LiveFrame{Type: "x", Data: bytes.Repeat([]byte("y"), 1<<10)} }
	for range 50 {
		w.Write(frame())
		if err := w.Flush(t.Context()); err != nil {
			t.Fatalf("Flush into a full live stream = %v, want nil", err)
		}
	}
	first := uint32(0)
	if _, err := f.Stored(t.Context(), requestID(1), func(m *stepv1.LiveFrames) error {
		if first == 0 {
			first = m.GetNumber()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if first < 20 {
		t.Errorf("first message that is left has number %d, want the older ones dropped", first)
	}
}

func TestGaugesShowHowFullStreamsAre(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	reg := prometheus.NewRegistry()
	cfg := bustest.Config(broker)
	smallStreams(&cfg)
	b, err := bus.Connect(t.Context(), cfg, "claimer", zap.NewNop(), bus.WithMetrics(reg))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.WithoutCancel(t.Context()))
	if err := b.Ensure(t.Context(), topology()); err != nil {
		t.Fatal(err)
	}
	for n := range 1000 {
		if _, err := b.Publish(t.Context(), turn(n)); err != nil {
			break
		}
	}
	if _, err := b.Publish(t.Context(), completed(1), failed(2)); err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error { return b.WatchStreams(ctx, func(string) {}) })
	gauge := func(name, stream string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == name && (len(m.GetLabel()) == 0 || m.GetLabel()[0].GetValue() == stream) {
					return m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		return -1
	}
	eventually(t, "two results wait", func() bool { return gauge("windlass_results_uncommitted", "") == 2 })
	if got := gauge("windlass_stream_limit_bytes", "TURN"); got != small {
		t.Errorf("limit of TURN = %v, want %d", got, small)
	}
	if got := gauge("windlass_stream_bytes", "TURN"); got < small/2 || got > small {
		t.Errorf("bytes of TURN = %v, want nearly %d", got, small)
	}
	if got := gauge("windlass_stream_messages", "STEP"); got != 2 {
		t.Errorf("messages of STEP = %v, want 2", got)
	}
	if got := gauge("windlass_publish_full_total", "TURN"); got != 1 {
		t.Errorf("refused publishes = %v, want 1", got)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("metrics: %v, %v", problems, err)
	}
}

// TestStreamsOfTheVersionBeforeAreChanged holds that the streams and the
// consumer of an earlier version take the new form in place, and that results
// in both forms reach their consumer.
func TestStreamsOfTheVersionBeforeAreChanged(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	nc, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "WINDLASS_STEP", Subjects: []string{"windlass.step.*.*.*.*"}, MaxAge: 72 * time.Hour, MaxBytes: 4 << 20,
		Discard: jetstream.DiscardNew, AllowDirect: true, MaxMsgsPerSubject: -1,
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateConsumer(t.Context(), "WINDLASS_STEP", jetstream.ConsumerConfig{
		Name: "step_results", Durable: "step_results", AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1, MaxWaiting: 4096,
		FilterSubjects: []string{"windlass.step.*.*.*.tool_completed", "windlass.step.*.*.*.tool_failed"},
	}); err != nil {
		t.Fatal(err)
	}
	old := func(n int) { // as a runner of the version before publishes
		data, err := proto.Marshal(&stepv1.StepEvent{
			Identity: identity(n), Tenant: "acme",
			Event: &stepv1.StepEvent_ToolCompleted{ToolCompleted: &stepv1.ToolCompleted{Output: []byte("fine")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.Publish(t.Context(), "windlass.step.acme."+requestID(n)+".1-1-1-1.tool_completed", data); err != nil {
			t.Fatalf("publish in the old form: %v", err)
		}
	}
	old(1)
	f := &fixture{Bus: bustest.Connect(t, broker), broker: broker, js: js, nc: nc}
	if err := f.Ensure(t.Context(), topology()); err != nil {
		t.Fatalf("Ensure over the streams of the version before: %v", err)
	}
	s, err := js.Stream(t.Context(), "WINDLASS_STEP")
	if err != nil {
		t.Fatal(err)
	}
	if c := s.CachedInfo().Config; c.Discard != jetstream.DiscardOld || c.MaxBytes != 64<<20 {
		t.Errorf("discard %v, limit %d; want the oldest dropped at the new limit", c.Discard, c.MaxBytes)
	}
	old(2)
	f.publish(t, completed(3))
	seen := make(chan string, 9)
	f.runBatches(t, consume.Config{HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		for _, d := range ds {
			seen <- d.Event.GetIdentity().GetRequestId()
		}
		return nil
	}})
	got := map[string]bool{}
	for range 3 {
		got[receive(t, seen, "result")] = true
	}
	if len(got) != 3 {
		t.Errorf("results of %v were delivered, want those of three requests", got)
	}
	var forms int
	if err := f.ToolResults(t.Context(), "acme", requestID(1), func(*stepv1.StepEvent) bool {
		forms++
		return true
	}); err != nil || forms != 1 {
		t.Errorf("%d results in the old form are found, %v; want 1", forms, err)
	}
}

// TestServerWithoutRoomNamesTheSetting holds that Ensure says what to change.
func TestServerWithoutRoomNamesTheSetting(t *testing.T) {
	t.Parallel()
	broker := bustest.NewBroker(t)
	b := bustest.Connect(t, broker, func(c *bus.Config) { c.MaxBytes.Live = 1 << 50 })
	err := b.Ensure(t.Context(), topology())
	if err == nil || !bytes.Contains([]byte(err.Error()), []byte("WINDLASS_LIVE_MAX_BYTES")) {
		t.Errorf("Ensure without room = %v, want it to name WINDLASS_LIVE_MAX_BYTES", err)
	}
}
