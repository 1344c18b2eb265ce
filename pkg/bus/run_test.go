package bus_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/bustest"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// handle is a handler that succeeds.
func handle(f func(consume.Delivery)) consume.Handler {
	return func(_ context.Context, d consume.Delivery) error {
		f(d)
		return nil
	}
}

func TestRunHandlesEveryKind(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	trace := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.publish(t, turn(1).WithTrace(trace), tool(2), message.Final(&stepv1.FinalCommand{RequestId: requestID(3), Epoch: 1}), completed(4))
	got := make(chan consume.Delivery, 4)
	for _, w := range []consume.Work{consume.TurnWork(lane), consume.ToolWork(pool), consume.FinalWork(), consume.ResultWork()} {
		f.run(t, consume.Config{Work: w, Handle: handle(func(d consume.Delivery) { got <- d })})
	}
	var seen []string
	for range 4 {
		d := receive(t, got, "delivery")
		switch {
		case d.Turn != nil && d.Trace == trace && d.Delivered == 1:
			seen = append(seen, "turn")
		case d.Tool != nil && d.Subject == "windlass.tool.default.search."+requestID(2)+".1-1-1-1":
			seen = append(seen, "tool")
		case d.Final.GetRequestId() == requestID(3):
			seen = append(seen, "final")
		case d.Event.GetToolCompleted() != nil:
			seen = append(seen, "event")
		}
	}
	if len(seen) != 4 {
		t.Errorf("understood deliveries: %v, want one of each kind", seen)
	}
	eventually(t, "queues are empty", func() bool {
		return f.queued(t, "WINDLASS_TURN")+f.queued(t, "WINDLASS_TOOL")+f.queued(t, "WINDLASS_FINAL") == 0
	})
}

func TestPanicLeavesTheMessageForAnAckWait(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(500*time.Millisecond))
	f.publish(t, turn(1))
	var calls atomic.Int32
	type call struct {
		delivered int
		at        time.Time
	}
	got := make(chan call, 2)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: func(_ context.Context, d consume.Delivery) error {
		got <- call{d.Delivered, time.Now()}
		if calls.Add(1) == 1 {
			panic("first call")
		}
		return nil
	}})
	first, second := receive(t, got, "first delivery"), receive(t, got, "second delivery")
	if first.delivered != 1 || second.delivered != 2 {
		t.Errorf("deliveries = %d, %d; want 1, 2", first.delivered, second.delivered)
	}
	if took := second.at.Sub(first.at); took < 300*time.Millisecond || took > 2*time.Second {
		t.Errorf("redelivery after %v, want about the AckWait of 500 ms", took)
	}
	eventually(t, "turn is acknowledged", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
}

func TestLeaseOfALongHandlerIsRenewed(t *testing.T) {
	t.Parallel()
	wait := 500 * time.Millisecond
	f := setUp(t, ackWait(wait))
	f.publish(t, tool(1))
	var calls atomic.Int32
	done := make(chan struct{}, 9)
	for range 2 {
		f.run(t, consume.Config{Work: consume.ToolWork(pool), Handle: func(ctx context.Context, _ consume.Delivery) error {
			calls.Add(1)
			select {
			case <-time.After(3 * wait):
			case <-ctx.Done():
			}
			done <- struct{}{}
			return nil
		}})
	}
	receive(t, done, "end of the handler")
	eventually(t, "call is acknowledged", func() bool { return f.queued(t, "WINDLASS_TOOL") == 0 })
	if got := calls.Load(); got != 1 {
		t.Errorf("handler calls = %d, want 1", got)
	}
}

func TestDrainLosesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(30*time.Second)) // what a drain strands would not come back in time
	const n = 300
	var mu sync.Mutex
	seen := make(map[string]int)
	handler := func(ctx context.Context, d consume.Delivery) error {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		seen[d.Turn.GetIdentity().GetRequestId()]++
		return nil
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(seen)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			f.publish(t, turn(i))
		}
	})
	for round := 1; round <= 5; round++ {
		stop := f.run(t, consume.Config{Work: consume.TurnWork(lane), Slots: 3, Grace: patience, Handle: handler})
		eventually(t, "some were handled", func() bool { return count() >= n*round/6 })
		stop()
	}
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Slots: 8, Grace: patience, Handle: handler})
	wg.Wait()
	eventually(t, "all were handled", func() bool { return count() == n })
	eventually(t, "queue is empty", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
	for id, calls := range seen {
		if calls != 1 {
			t.Errorf("request %s was handled %d times, want once", id, calls)
		}
	}
}

func TestDrainCancelsAfterTheGraceAndHandsBack(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(30*time.Second))
	f.publish(t, turn(1))
	begun, cause := make(chan struct{}, 1), make(chan error, 1)
	stop := f.run(t, consume.Config{
		Work: consume.TurnWork(lane), Grace: 100 * time.Millisecond,
		Handle: func(ctx context.Context, _ consume.Delivery) error {
			begun <- struct{}{}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return context.Cause(ctx)
		},
	})
	receive(t, begun, "delivery")
	stop()
	if err := receive(t, cause, "cause"); !errors.Is(err, consume.ErrDraining) {
		t.Errorf("cause = %v, want ErrDraining", err)
	}
	again := make(chan int, 1)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { again <- d.Delivered })})
	if got := receive(t, again, "second delivery"); got != 2 {
		t.Errorf("delivered = %d, want 2", got)
	}
}

func TestDrainLetsHandlersEnd(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, turn(1))
	begun, goOn := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, consume.Config{
			Work: consume.TurnWork(lane), Slots: 1, Grace: patience,
			Handle: func(ctx context.Context, _ consume.Delivery) error {
				close(begun)
				<-goOn
				return ctx.Err()
			},
		})
	}()
	receive(t, begun, "delivery")
	cancel()
	select {
	case err := <-done:
		t.Fatalf("Run ended with %v while a handler was at work", err)
	case <-time.After(200 * time.Millisecond):
	}
	close(goOn)
	if err := receive(t, done, "end of Run"); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	eventually(t, "turn is acknowledged", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
}

func TestCancelHintAbortsAndIsRemembered(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, tool(1))
	begun, cause := make(chan string, 9), make(chan error, 1)
	f.run(t, consume.Config{Work: consume.ToolWork(pool), Handle: func(ctx context.Context, d consume.Delivery) error {
		begun <- d.Tool.GetIdentity().GetRequestId()
		if d.Tool.GetIdentity().GetRequestId() != requestID(1) {
			return nil
		}
		<-ctx.Done()
		cause <- context.Cause(ctx)
		return ctx.Err()
	}})
	receive(t, begun, "delivery")
	f.CancelHint(requestID(2)) // not this one
	f.CancelHint(requestID(1))
	if err := receive(t, cause, "cause"); !errors.Is(err, consume.ErrCancelled) {
		t.Errorf("cause = %v, want ErrCancelled", err)
	}
	eventually(t, "cancelled call is gone", func() bool { return f.queued(t, "WINDLASS_TOOL") == 0 })
	f.publish(t, tool(1), tool(2), tool(3))
	if got := receive(t, begun, "next delivery"); got != requestID(3) {
		t.Errorf("handler was called for %s, want only %s: the others are cancelled", got, requestID(3))
	}
	eventually(t, "queue is empty", func() bool { return f.queued(t, "WINDLASS_TOOL") == 0 })
	if got := f.queued(t, "WINDLASS_DEAD"); got != 0 {
		t.Errorf("%d dead letters and advisories, want none: what was cancelled was not given up", got)
	}
}

func TestCancelledTurnsStillReachTheirHandler(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan error, 9)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: func(ctx context.Context, _ consume.Delivery) error {
		got <- context.Cause(ctx)
		return nil
	}})
	f.publish(t, turn(1))
	_ = receive(t, got, "first turn") // the runner listens
	f.CancelHint(requestID(2))
	f.publish(t, turn(2))
	if err := receive(t, got, "turn"); err != nil && !errors.Is(err, consume.ErrCancelled) {
		t.Errorf("cause = %v, want none or ErrCancelled", err)
	}
}

func TestFailedHandlerIsHandedBackWithoutSpinning(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(30*time.Second))
	f.publish(t, turn(1))
	got := make(chan time.Time, 2)
	var calls atomic.Int32
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: func(context.Context, consume.Delivery) error {
		got <- time.Now()
		if calls.Add(1) == 1 {
			return errors.New("postgres is away")
		}
		return nil
	}})
	first, second := receive(t, got, "first delivery"), receive(t, got, "second delivery")
	if took := second.Sub(first); took < 500*time.Millisecond || took > 10*time.Second {
		t.Errorf("handed back after %v, want about 1 s", took)
	}
}

func TestUndecodableMessageIsBuried(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	subject := "windlass.turn.m1." + requestID(1) + ".1-1-1"
	other := "windlass.turn.m1." + requestID(2) + ".1-1-1"
	if err := f.nc.PublishMsg(&nats.Msg{Subject: subject, Data: []byte{0xff, 0xff}}); err != nil {
		t.Fatal(err)
	}
	if err := f.nc.PublishMsg(&nats.Msg{Subject: other, Header: nats.Header{"Windlass-Type": {"windlass.step.v2.TurnCommand"}}}); err != nil {
		t.Fatal(err)
	}
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { t.Errorf("handler called for %s", d.Subject) })})
	eventually(t, "letters and advisories are stored", func() bool { return f.queued(t, "WINDLASS_DEAD") == 4 })
	eventually(t, "messages are gone", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
	s, err := f.js.Stream(t.Context(), "WINDLASS_DEAD")
	if err != nil {
		t.Fatal(err)
	}
	for id, subject := range map[string]string{requestID(1): subject, requestID(2): other} {
		msg, err := s.GetLastMsgForSubject(t.Context(), "windlass.dead."+id)
		if err != nil {
			t.Fatalf("dead letter of %s: %v", id, err)
		}
		var letter stepv1.DeadLetter
		if err := proto.Unmarshal(msg.Data, &letter); err != nil {
			t.Fatal(err)
		}
		if letter.GetSubject() != subject || letter.GetFailure().GetCode() != "undecodable" {
			t.Errorf("dead letter = %v, want subject %s and code undecodable", &letter, subject)
		}
	}
}

func TestLaneConcurrencyHoldsOverRunners(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	other := bustest.Connect(t, f.broker)
	set := func(n int) {
		t.Helper()
		if err := f.Ensure(t.Context(), bus.Topology{Lanes: []bus.Lane{{Name: lane, Concurrency: n}}}); err != nil {
			t.Fatal(err)
		}
	}
	set(2)
	for i := range 40 {
		f.publish(t, turn(i))
	}
	var now, most atomic.Int32
	goOn := make(chan struct{})
	cfg := consume.Config{Work: consume.TurnWork(lane), Slots: 8, Grace: patience, Handle: func(context.Context, consume.Delivery) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-goOn
		return nil
	}}
	f.run(t, cfg)
	start(t, func(ctx context.Context) error { return other.Run(ctx, cfg) })
	eventually(t, "two are in flight", func() bool { return now.Load() == 2 })
	if waiting, inFlight, err := f.LaneLoad(t.Context(), lane); waiting != 38 || inFlight != 2 || err != nil {
		t.Errorf("LaneLoad = %d, %d, %v; want 38, 2, nil", waiting, inFlight, err)
	}
	for range 10 {
		goOn <- struct{}{}
	}
	eventually(t, "two are in flight again", func() bool { return now.Load() == 2 })
	if got := most.Load(); got != 2 {
		t.Errorf("most in flight = %d, want 2", got)
	}
	set(5)
	eventually(t, "five are in flight", func() bool { return now.Load() == 5 })
	close(goOn)
	eventually(t, "queue is empty", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
	if got := most.Load(); got > 5 {
		t.Errorf("most in flight = %d, want at most 5", got)
	}
}

func TestPauseLane(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	if err := f.PauseLane(t.Context(), lane, time.Hour); err != nil {
		t.Fatal(err)
	}
	got := make(chan consume.Delivery, 1)
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Handle: handle(func(d consume.Delivery) { got <- d })})
	f.publish(t, turn(1))
	select {
	case d := <-got:
		t.Fatalf("delivery of a paused lane: %v", d.Turn)
	case <-time.After(500 * time.Millisecond):
	}
	if err := f.Ensure(t.Context(), topology()); err != nil { // keeps the pause
		t.Fatal(err)
	}
	select {
	case d := <-got:
		t.Fatalf("delivery of a paused lane after Ensure: %v", d.Turn)
	case <-time.After(200 * time.Millisecond):
	}
	if err := f.PauseLane(t.Context(), lane, -time.Second); err != nil {
		t.Fatal(err)
	}
	receive(t, got, "delivery after the pause")
}
