package command

import (
	"errors"
	"testing"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

// TestF26ACallOfACancelledRequestDoesNotStart holds that a command of a
// cancelled request is not served although its runner has heard no hint: the
// runner asks about every command that waited, and asks again if time passed
// between the answer and the call.
func TestF26ACallOfACancelledRequestDoesNotStart(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	r := newHandler(t, h)
	gone := &stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_GONE}
	h.FixedAnswer.Store(gone)
	for _, tool := range []string{"plain", "once"} {
		d := runnertest.Delivery(runnertest.Command(tool), 1)
		d.Stored = time.Now().Add(-2 * time.Second)
		if err := r.Handle(t.Context(), d); !errors.Is(err, consume.ErrStale) {
			t.Errorf("a command of a cancelled request for the tool %s: %v, want ErrStale", tool, err)
		}
	}
	d := runnertest.Delivery(runnertest.Command("plain"), 1)
	if err := r.checkAgain(t.Context(), d, time.Now()); err != nil {
		t.Errorf("a command that was checked just now is not served: %v", err)
	}
	if err := r.checkAgain(t.Context(), d, time.Now().Add(-2*time.Second)); !errors.Is(err, consume.ErrStale) {
		t.Errorf("a cancelled command that was checked 2 s ago: %v, want ErrStale", err)
	}
	h.WantCalls(t, 0)
	h.WantNoEvent(t)
	if got := h.Asked.Load(); got != 3 {
		t.Errorf("the runner asked %d times, want 3", got)
	}
}

// TestAFirstDeliveryThatWaitedIsNotUncertain holds that a question about a
// first delivery does not turn an at_most_once call into an unknown outcome: no
// other runner had the command.
func TestAFirstDeliveryThatWaitedIsNotUncertain(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	r := newHandler(t, h)
	h.FixedAnswer.Store(&stepv1.ToolAnswer{Verdict: stepv1.ToolVerdict_TOOL_VERDICT_DUE, Uncertain: true})
	c := runnertest.Command("once")
	d := runnertest.Delivery(c, 1)
	d.Stored = time.Now().Add(-2 * time.Second)
	handle(t, r, d, "")
	h.WantEvent(t, runnertest.Sunny(c))
	h.WantCalls(t, 1)
}
