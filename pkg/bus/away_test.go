package bus_test

import (
	"context"
	"sync/atomic"
	"testing"

	"windlass.dev/windlass/pkg/bus/consume"
)

// TestF20AWorkerThatIsAwayTakesNothing holds that a worker that cannot reach
// what its handler needs leaves messages to others, and goes on when it is
// back.
func TestF20AWorkerThatIsAwayTakesNothing(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	var away atomic.Bool
	away.Store(true)
	asked := make(chan struct{}, 1000)
	got := make(chan consume.Delivery, 10)
	f.run(t, consume.Config{
		Work: consume.ToolWork(pool), Handle: handle(func(d consume.Delivery) { got <- d }),
		Away: func(context.Context) bool {
			asked <- struct{}{}
			return away.Load()
		},
	})
	f.publish(t, tool(1), tool(2))
	for range 4 { // each worker of the consumer has looked
		receive(t, asked, "look")
	}
	if len(got) > 0 {
		t.Fatalf("a worker that is away took %v", (<-got).Subject)
	}
	away.Store(false)
	for range 2 {
		if d := receive(t, got, "delivery"); d.Delivered != 1 {
			t.Errorf("the message was delivered %d times, want once", d.Delivered)
		}
	}
}
