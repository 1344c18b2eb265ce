package consume

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

func deliveryOf(requestID string) Delivery {
	return Delivery{Tool: &stepv1.ToolCommand{Identity: &stepv1.StepIdentity{RequestId: requestID}}}
}

func TestCancelsForgetAfterTenMinutes(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	c := newCancels(func() time.Time { return now })
	gone := func(id string) bool {
		gone, leave := c.enter(t.Context(), func(error) {}, deliveryOf(id))
		leave()
		return gone
	}
	c.cancel("a")
	now = now.Add(6 * time.Minute)
	c.cancel("a")
	c.cancel("b")
	now = now.Add(6 * time.Minute)
	c.cancel("c")
	if !gone("a") || !gone("b") || !gone("c") || gone("d") {
		t.Error("after 6 minutes: want a, cancelled again, b and c remembered, d not")
	}
	now = now.Add(4 * time.Minute)
	if gone("a") || gone("b") || !gone("c") {
		t.Error("after 10 minutes: want a and b forgotten, c remembered")
	}
	c.cancel("e")
	if len(c.gone) != 2 || len(c.order) != 2 || len(c.live) != 0 {
		t.Errorf("kept %d ids, %d entries, %d calls; want 2, 2, 0", len(c.gone), len(c.order), len(c.live))
	}
}

func TestCancelsAreBounded(t *testing.T) {
	t.Parallel()
	c := newCancels(time.Now)
	for i := range cancelMemorySize + 10 {
		c.cancel(strconv.Itoa(i))
	}
	if len(c.gone) != cancelMemorySize || len(c.order) != cancelMemorySize {
		t.Errorf("kept %d ids, %d entries, want %d", len(c.gone), len(c.order), cancelMemorySize)
	}
}

func TestCancelsReachEveryCallOfTheRequest(t *testing.T) {
	t.Parallel()
	c := newCancels(time.Now)
	a1, cancel1 := context.WithCancelCause(t.Context())
	a2, cancel2 := context.WithCancelCause(t.Context())
	b1, cancel3 := context.WithCancelCause(t.Context())
	_, leave := c.enter(a1, cancel1, deliveryOf("a"))
	c.enter(a2, cancel2, deliveryOf("a"))
	c.enter(b1, cancel3, deliveryOf("b"))
	leave()
	c.cancel("a")
	if context.Cause(a1) != nil || !errors.Is(context.Cause(a2), ErrCancelled) || context.Cause(b1) != nil {
		t.Errorf("causes = %v, %v, %v; want nil, ErrCancelled, nil", context.Cause(a1), context.Cause(a2), context.Cause(b1))
	}
}
