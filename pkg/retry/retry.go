// Package retry repeats operations with exponential backoff and jitter
// (cenkalti/backoff). It is for waits inside one process, such as an outage of
// the database or the bus. The attempts of a step are counted in its row, and
// their pauses are computed from that count instead.
//
// It promises that an operation runs at least once, that every pause ends with
// its context, and that the last error of the operation is never lost
// (TestDo). It does not bound the number of tries: the context does.
package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Policy is how long the pauses between tries are: from about First, doubled
// after each try, to about Last. Each pause is random between half and one and
// a half of that.
type Policy struct {
	First, Last time.Duration
}

// Do runs op until it succeeds, it fails with an error that again rejects, or
// ctx ends. It returns the last error of op, joined with the cause of ctx if
// ctx ended the retries. A nil again accepts every error.
func Do(ctx context.Context, p Policy, again func(error) bool, op func(context.Context) error) error {
	pauses := p.Pauses()
	for {
		err := op(ctx)
		if err == nil || again != nil && !again(err) {
			return err
		}
		if !pauses.Sleep(ctx) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// Value is Do for an operation that returns a value: that of its last try.
func Value[T any](
	ctx context.Context, p Policy, again func(error) bool, op func(context.Context) (T, error),
) (value T, err error) {
	err = Do(ctx, p, again, func(ctx context.Context) (err error) {
		value, err = op(ctx)
		return err
	})
	return value, err
}

// Pauses are the pauses of one loop. They are not safe for concurrent use.
type Pauses struct {
	backoff backoff.ExponentialBackOff
}

// Pauses starts with the first pause. Loops that Do does not fit use it.
func (p Policy) Pauses() *Pauses {
	s := &Pauses{backoff.ExponentialBackOff{
		InitialInterval: p.First, RandomizationFactor: backoff.DefaultRandomizationFactor,
		Multiplier: 2, MaxInterval: p.Last,
	}}
	s.Reset()
	return s
}

// Reset makes the next pause the first one again.
func (s *Pauses) Reset() { s.backoff.Reset() }

// Sleep waits for the next pause. It reports whether ctx is still alive.
func (s *Pauses) Sleep(ctx context.Context) bool { return Sleep(ctx, s.backoff.NextBackOff()) }

// Sleep waits for d and reports whether ctx is still alive.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
