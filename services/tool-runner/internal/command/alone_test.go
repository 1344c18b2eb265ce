package command

import (
	"context"
	"errors"
	"testing"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/services/internal/isolate"
	"windlass.dev/windlass/services/tool-runner/internal/runnertest"
)

// TestInnocentCallsSurviveTheDeathsOfTheirRunners holds that a call is made
// however many runners died with it, from the third delivery on by a process of
// its own.
func TestInnocentCallsSurviveTheDeathsOfTheirRunners(t *testing.T) {
	t.Parallel()
	for _, deliveries := range []int{2, 3, 6, 60} {
		h := runnertest.New(t, runnertest.Answer)
		r := newHandler(t, h)
		isolated := 0
		r.Isolate = func(ctx context.Context, task []byte) ([]byte, error) {
			isolated++
			return (&Handler{Tools: r.Tools, Client: r.Client, Log: r.Log}).CallIsolated(ctx, task)
		}
		c := runnertest.Command("plain")
		handle(t, r, runnertest.Delivery(c, deliveries), "")
		h.WantEvent(t, runnertest.Sunny(c))
		h.WantCalls(t, 1)
		if want := deliveries > suspectDeliveries; (isolated == 1) != want {
			t.Errorf("delivery %d: %d isolated calls, want one: %t", deliveries, isolated, want)
		}
	}
}

// TestACallThatEndsItsProcessIsGivenUp holds that only crashes of a call's own
// count, and that each is counted as an attempt.
func TestACallThatEndsItsProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		tool       string
		deliveries int
		crash      func(*Handler, *int)
		crashes    int
	}{
		"alone": {"plain", 3, func(r *Handler, crashes *int) {
			r.Isolate = func(context.Context, []byte) ([]byte, error) {
				*crashes++
				return nil, &isolate.Crash{Status: "exit status 2"}
			}
		}, maxCrashes},
		"by a panic": {"plain", 1, func(r *Handler, crashes *int) { r.Client = nil; *crashes = maxCrashes }, maxCrashes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := runnertest.New(t, runnertest.Answer)
			r := newHandler(t, h)
			crashes := 0
			tt.crash(r, &crashes)
			c := runnertest.Command(tt.tool)
			if err := r.Handle(t.Context(), runnertest.Delivery(c, tt.deliveries)); !errors.Is(err, consume.ErrPoison) {
				t.Fatalf("Handle = %v, want ErrPoison", err)
			}
			h.WantEvent(t, failedEvent(c, givenUp, 0))
			if crashes != tt.crashes {
				t.Errorf("%d crashes, want %d", crashes, tt.crashes)
			}
			if got, want := h.Lost.Load(), int64(tt.deliveries-1+tt.crashes); got != want {
				t.Errorf("the last question reports %d lost calls, want %d", got, want)
			}
		})
	}
}

// TestAnAtMostOnceCallThatEndsItsProcessIsUncertain holds that such a call is
// not made a second time.
func TestAnAtMostOnceCallThatEndsItsProcessIsUncertain(t *testing.T) {
	t.Parallel()
	h := runnertest.New(t, runnertest.Answer)
	r := newHandler(t, h)
	crashes := 0
	r.Isolate = func(context.Context, []byte) ([]byte, error) {
		crashes++
		return nil, &isolate.Crash{Status: "exit status 2"}
	}
	c := runnertest.Command("once")
	handle(t, r, runnertest.Delivery(c, 3), "failed") // the runners before died before the mark
	h.WantEvent(t, failedEvent(c, unknownOutcome, 0))
	if crashes != 1 {
		t.Errorf("%d calls, want 1", crashes)
	}
}
