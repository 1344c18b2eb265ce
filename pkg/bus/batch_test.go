package bus_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
)

// tally counts deliveries of tool results by request.
type tally struct {
	mu    sync.Mutex
	seen  map[string]int
	sizes []int
}

func newTally() *tally { return &tally{seen: make(map[string]int)} }

func (c *tally) add(ds []consume.Delivery) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sizes = append(c.sizes, len(ds))
	for _, d := range ds {
		c.seen[d.Event.GetIdentity().GetRequestId()]++
	}
}

func (c *tally) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (c *tally) most() (size, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.sizes {
		size = max(size, s)
	}
	for _, n := range c.seen {
		calls = max(calls, n)
	}
	return size, calls
}

func (f *fixture) runBatches(tb testing.TB, cfg consume.Config) (stop func()) {
	tb.Helper()
	cfg.Work = consume.ResultWork()
	return start(tb, func(ctx context.Context) error { return f.RunBatches(ctx, cfg) })
}

// unacked counts results that are waiting or in flight.
func (f *fixture) unacked(tb testing.TB) int {
	tb.Helper()
	c, err := f.js.Consumer(tb.Context(), "WINDLASS_STEP", "step_results")
	if err != nil {
		tb.Fatalf("look at step_results: %v", err)
	}
	return int(c.CachedInfo().NumPending) + c.CachedInfo().NumAckPending
}

func TestBatchesTakeWhatIsWaiting(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(30*time.Second))
	var msgs []message.Message
	for i := range 100 {
		msgs = append(msgs, completed(i), started(i))
	}
	f.publish(t, msgs...)
	c := newTally()
	f.runBatches(t, consume.Config{Max: 32, HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		c.add(ds)
		return nil
	}})
	eventually(t, "all results were handled", func() bool { return c.requests() == 100 })
	eventually(t, "all results are acknowledged", func() bool { return f.unacked(t) == 0 })
	if size, calls := c.most(); size < 16 || size > 32 || calls != 1 {
		t.Errorf("largest batch %d, most deliveries of a result %d; want 16 to 32, and 1", size, calls)
	}
}

func TestBatchDoesNotWaitForMore(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	got := make(chan int, 1)
	f.runBatches(t, consume.Config{HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		got <- len(ds)
		return nil
	}})
	for i := range 3 {
		f.publish(t, completed(i))
		if n := receive(t, got, "batch"); n != 1 {
			t.Errorf("batch of %d, want 1", n)
		}
	}
}

func TestEachOfABatchIsAcknowledgedByItsOwnError(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(30*time.Second))
	undecodable := "windlass.step.acme." + requestID(9) + ".1-1-1-1.tool_completed"
	if err := f.nc.PublishMsg(&nats.Msg{Subject: undecodable, Data: []byte{0xff}}); err != nil {
		t.Fatal(err)
	}
	if err := f.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	f.publish(t, completed(1), completed(2), completed(3))
	c := newTally()
	f.runBatches(t, consume.Config{Slots: 1, HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		c.add(ds)
		errs := make([]error, len(ds))
		for i, d := range ds {
			switch {
			case d.Event.GetIdentity().GetRequestId() == requestID(2) && d.Delivered == 1:
				errs[i] = errors.New("not yet")
			case d.Event.GetIdentity().GetRequestId() == requestID(3):
				errs[i] = consume.ErrStale
			}
		}
		return errs
	}})
	eventually(t, "all are acknowledged", func() bool { return c.requests() == 3 && f.unacked(t) == 0 })
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, want := range map[string]int{requestID(1): 1, requestID(2): 2, requestID(3): 1} {
		if got := c.seen[id]; got != want {
			t.Errorf("request %s was delivered %d times, want %d", id, got, want)
		}
	}
	if got := f.queued(t, "WINDLASS_DEAD"); got != 2 {
		t.Errorf("dead letters and advisories = %d, want one each", got)
	}
}

func TestBatchHandlerThatPanicsGetsItsMessagesAgain(t *testing.T) {
	t.Parallel()
	f := setUp(t, ackWait(500*time.Millisecond))
	f.publish(t, completed(1), completed(2))
	c := newTally()
	f.runBatches(t, consume.Config{Slots: 1, HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		c.add(ds)
		if ds[0].Delivered == 1 {
			panic("first call")
		}
		return nil
	}})
	eventually(t, "both came again", func() bool { return c.requests() == 2 && f.unacked(t) == 0 })
	if _, calls := c.most(); calls != 2 {
		t.Errorf("most deliveries of a result = %d, want 2", calls)
	}
}

func TestResultsSinceSkipsOlderOnes(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, completed(1))
	if err := f.js.DeleteConsumer(t.Context(), "WINDLASS_STEP", "step_results"); err != nil {
		t.Fatal(err)
	}
	top := topology()
	top.ResultsSince = time.Now()
	if err := f.Ensure(t.Context(), top); err != nil {
		t.Fatal(err)
	}
	f.publish(t, completed(2))
	got := make(chan string, 2)
	f.runBatches(t, consume.Config{HandleBatch: func(_ context.Context, ds []consume.Delivery) []error {
		for _, d := range ds {
			got <- d.Event.GetIdentity().GetRequestId()
		}
		return nil
	}})
	if id := receive(t, got, "result"); id != requestID(2) {
		t.Errorf("first result is of %s, want %s", id, requestID(2))
	}
}
