package bus_test

import (
	"context"
	"errors"
	"testing"

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
