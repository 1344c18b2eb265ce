package command

import (
	"math"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// maxWait is how long a command may seem to have waited before its runner asks
// about it. Its cancel hint may have been lost: hints are not stored, a runner
// that was stopped or away hears none, and a gateway that cannot reach the
// broker sends none. No call may start later than 2 s after a cancel.
const maxWait = time.Second

// mayBeStale reports whether a command may have waited so long that its request
// was cancelled without the runner hearing it, or that its publisher's
// remaining time is not true any more. The times are of two clocks, so that
// they decide only about a question: a clock that differs by more than a second
// costs a question for each command, and never ends a call early.
func mayBeStale(d consume.Delivery) bool {
	if d.Tool.GetRemaining() == nil && d.Tool.GetDeadlineTime() != nil { // its publisher is of an earlier version
		return true
	}
	return time.Since(d.Stored).Abs() > maxWait
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
