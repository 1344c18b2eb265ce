// Package attempt holds what the retries of model calls and of tool calls have
// in common: how long the next attempt waits, and the outcomes of a failed one.
package attempt

import (
	"math/rand/v2"
	"time"
)

// Outcomes of a failed attempt, in logs and metrics.
const (
	Retried = "retried" // another attempt follows
	Failed  = "failed"  // it was the last one
)

const (
	firstBackoff = 500 * time.Millisecond
	maxBackoff   = 30 * time.Second
)

// Backoff is how long a step waits for its next attempt after so many earlier
// failures: exponential, with full jitter. The count is in the step's row, so
// package retry, which counts in the process, does not fit.
func Backoff(failures int) time.Duration {
	return rand.N(min(firstBackoff<<min(failures, 10), maxBackoff)) + time.Millisecond
}
