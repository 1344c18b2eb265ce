// Package periodic runs jobs that repeat until the process drains.
package periodic

import (
	"context"
	"time"
)

// Run calls job at once, and again after the pause that job returns or when
// wake is signalled, until ctx ends. A nil wake is never signalled.
func Run(ctx context.Context, wake Signal, job func(context.Context) (pause time.Duration)) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
		}
		timer.Reset(job(ctx))
	}
}

// Every returns a job for Run that calls do and pauses for d.
func Every(d time.Duration, do func(context.Context)) func(context.Context) time.Duration {
	return func(ctx context.Context) time.Duration {
		do(ctx)
		return d
	}
}

// Signal wakes a job. Several signals before the job runs count as one.
type Signal chan struct{}

// NewSignal returns a signal that is not set.
func NewSignal() Signal { return make(Signal, 1) }

// Send sets the signal. It does not block.
func (s Signal) Send() {
	select {
	case s <- struct{}{}:
	default:
	}
}
