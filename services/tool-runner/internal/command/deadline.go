package command

import (
	"math"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// lateShare is the share of the remaining time that a command may seem to have
// waited before its runner asks about it.
const lateShare = 4

// mayBeLate reports whether a command may have waited so long that its
// publisher's remaining time is not true any more. The times are of two clocks,
// so that they decide only about a question: a wrong clock costs questions, and
// never ends a call early.
func mayBeLate(d consume.Delivery) bool {
	if d.Tool.GetRemaining() == nil {
		return d.Tool.GetDeadlineTime() != nil
	}
	return time.Since(d.Stored).Abs() > d.Tool.GetRemaining().AsDuration()/lateShare
}

// remaining returns how long the request may still take, counted from now. The
// row says it by the answer, or else the command.
func remaining(c *stepv1.ToolCommand, answer *stepv1.ToolAnswer) time.Duration {
	switch {
	case answer.GetRemaining() != nil:
		return answer.GetRemaining().AsDuration()
	case c.GetRemaining() != nil:
		return c.GetRemaining().AsDuration()
	case c.GetDeadlineTime() != nil: // its publisher and who answered are of an earlier version
		return time.Until(c.GetDeadlineTime().AsTime())
	default:
		return math.MaxInt64
	}
}
