package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// longWait is an AckWait whose third a busy machine does not exceed.
const longWait = 2500 * time.Millisecond

// TestABatchThatLastsIsDeliveredOnce holds that all messages of a batch are
// leased, not only the first.
func TestABatchThatLastsIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(longWait))
	f.publish(t, completed(1), completed(2), completed(3))
	c := newTally()
	f.runBatches(t, consume.Config{Grace: patience, HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		c.add(ds)
		<-time.After(3 * longWait)
		return nil
	}})
	eventually(t, "all are delivered", func() bool { return c.requests() == 3 })
	eventually(t, "all are acknowledged", func() bool { return f.unacked(t) == 0 })
	if size, calls := c.most(); size < 2 || calls != 1 {
		t.Errorf("largest batch %d, most deliveries of a result %d; want more than one, and 1", size, calls)
	}
}

// TestABusyRunnerTakesNothing holds that a runner pulls no more than it can
// handle: what waits for a slot would be delivered again after AckWait.
func TestABusyRunnerTakesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(longWait))
	f.publish(t, turn(1), turn(2), turn(3))
	var mu sync.Mutex
	var delivered []int
	f.run(t, consume.Config{Work: consume.TurnWork(lane), Slots: 1, Grace: patience, Handle: func(_ context.Context, d consume.Delivery) error {
		mu.Lock()
		first := len(delivered) == 0
		delivered = append(delivered, d.Delivered)
		mu.Unlock()
		if first {
			<-time.After(3 * longWait)
		}
		return nil
	}})
	eventually(t, "all are acknowledged", func() bool { return f.queued(t, "WINDLASS_TURN") == 0 })
	mu.Lock()
	defer mu.Unlock()
	for _, n := range delivered {
		if n != 1 || len(delivered) != 3 {
			t.Fatalf("deliveries = %v, want three first ones", delivered)
		}
	}
}

// TestAnUnsurePublishIsRepeatedAsARepeat holds that Publish, when it tries
// again, marks what the first try may have stored, and only that.
func TestAnUnsurePublishIsRepeatedAsARepeat(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	for _, stream := range []string{"WINDLASS_TURN", "WINDLASS_TOOL"} {
		if err := f.js.DeleteStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"windlass.turn.x", "windlass.tool.x"} { // a deletion leaves publishes without an answer for a while
		eventually(t, "nothing listens to "+subject, func() bool {
			_, err := f.nc.Request(subject, nil, time.Second)
			return errors.Is(err, nats.ErrNoResponders)
		})
	}
	// In place of the stream of tools answers a server that does not say
	// whether it stored the message; the stream of turns is missing.
	sub, err := f.nc.Subscribe("windlass.tool.>", func(m *nats.Msg) {
		_ = m.Sub.Unsubscribe()
		_ = m.Respond([]byte(`{"error":{"code":503,"err_code":10051,"description":"not sure"}}`))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	f.publish(t, turn(1), tool(1))
	read := func(stream, subject string, m proto.Message) {
		t.Helper()
		s, err := f.js.Stream(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := s.GetLastMsgForSubject(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(raw.Data, m); err != nil {
			t.Fatal(err)
		}
	}
	var first stepv1.TurnCommand
	var second stepv1.ToolCommand
	read("WINDLASS_TURN", "windlass.turn.>", &first)
	read("WINDLASS_TOOL", "windlass.tool.>", &second)
	if first.GetRepeat() || !second.GetRepeat() {
		t.Errorf("repeat: the turn whose stream was missing %v, the tool command of unknown outcome %v; want false, true",
			first.GetRepeat(), second.GetRepeat())
	}
}
