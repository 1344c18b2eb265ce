package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
)

// TestForgedCancelHintBreaksNothingOff holds that a hint only counts once it
// is confirmed, and that a delivery after it is marked.
func TestForgedCancelHintBreaksNothingOff(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, tool(1))
	type got struct {
		id     string
		hinted bool
	}
	begun, release, cause := make(chan got, 9), make(chan struct{}), make(chan error, 9)
	confirms, verdicts := make(chan string, 9), make(chan bool)
	f.run(t, consume.Config{
		Work: consume.ToolWork(pool),
		Handle: func(ctx context.Context, d consume.Delivery) error {
			begun <- got{d.Tool.GetIdentity().GetRequestId(), d.Hinted}
			select {
			case <-ctx.Done():
			case <-release:
			}
			cause <- context.Cause(ctx)
			return nil
		},
		Confirm: func(ctx context.Context, d consume.Delivery) bool {
			confirms <- d.Tool.GetIdentity().GetRequestId()
			select {
			case v := <-verdicts:
				return v
			case <-ctx.Done():
				return false
			}
		},
	})
	receive(t, begun, "delivery")
	f.CancelHint(requestID(1)) // forged
	if id := receive(t, confirms, "confirmation"); id != requestID(1) {
		t.Errorf("confirmation of %s, want %s", id, requestID(1))
	}
	verdicts <- false
	release <- struct{}{}
	if err := receive(t, cause, "cause"); err != nil {
		t.Errorf("cause after a forged hint = %v, want nil", err)
	}
	eventually(t, "call is done", func() bool { return f.queued(t, "WINDLASS_TOOL") == 0 })

	f.publish(t, tool(1), tool(2))
	for range 2 {
		if d := receive(t, begun, "delivery"); d.hinted != (d.id == requestID(1)) {
			t.Errorf("delivery of %s: hinted = %t", d.id, d.hinted)
		}
	}
	f.CancelHint(requestID(2))
	receive(t, confirms, "confirmation")
	verdicts <- true
	if err := receive(t, cause, "cause"); !errors.Is(err, consume.ErrCancelled) {
		t.Errorf("cause after a confirmed hint = %v, want ErrCancelled", err)
	}
	release <- struct{}{}
	if err := receive(t, cause, "cause"); err != nil {
		t.Errorf("cause of the other request = %v, want nil", err)
	}
}

// TestF41FloodOfHintsAsksSeldom holds that hints, however many, cost one
// question in half a second for each request in flight, and that the last one
// is heard: it may be the true one.
func TestF41FloodOfHintsAsksSeldom(t *testing.T) {
	t.Parallel()
	f := setUp(t)
	f.publish(t, tool(1))
	var questions atomic.Int64
	var cancelled atomic.Bool
	begun, cause := make(chan struct{}, 1), make(chan error, 1)
	f.run(t, consume.Config{
		Work: consume.ToolWork(pool),
		Handle: func(ctx context.Context, _ consume.Delivery) error {
			begun <- struct{}{}
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return nil
		},
		Confirm: func(context.Context, consume.Delivery) bool {
			questions.Add(1)
			return cancelled.Load()
		},
	})
	receive(t, begun, "delivery")
	began := time.Now()
	for time.Since(began) < 1200*time.Millisecond {
		for range 100 {
			f.CancelHint(requestID(1))
		}
		<-time.After(time.Millisecond)
	}
	asked := questions.Load()
	if most := int64(time.Since(began)/(500*time.Millisecond)) + 1; asked < 1 || asked > most {
		t.Errorf("%d questions, want 1 to %d", asked, most)
	}
	cancelled.Store(true)
	f.CancelHint(requestID(1))
	if err := receive(t, cause, "end of the call"); !errors.Is(err, consume.ErrCancelled) {
		t.Errorf("cause after a true hint = %v, want ErrCancelled", err)
	}
}
