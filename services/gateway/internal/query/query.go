// Package query runs the queries of HTTP handlers, each in bounded time and
// repeated while the database is away. With Postgres away a handler therefore
// answers 503 within a second (TestPostgresAwayIsSaidWithinASecond in package
// gateway).
package query

import (
	"context"
	"fmt"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Timeout bounds the queries of one request. With the database away, a client
// has its 503 within a second.
const Timeout = 900 * time.Millisecond

// policy is how long the pauses are while the database is away.
var policy = retry.Policy{First: 10 * time.Millisecond, Last: 100 * time.Millisecond}

// ErrTimeout reports that the database did not answer in time.
var ErrTimeout = fmt.Errorf("the database did not answer in time: %w", context.DeadlineExceeded)

// WithTimeout bounds all queries of one request together.
func WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, Timeout, ErrTimeout)
}

// Retry runs a query and repeats it while the database is away, until ctx ends.
// Then it returns at once and leaves the running statement behind, which ends
// after the statement timeout of 5 s; tasks counts it.
func Retry[T any](ctx context.Context, tasks *sync.WaitGroup, ask func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	tasks.Go(func() {
		value, err := retry.Value(ctx, policy, postgres.Unavailable, ask)
		answers <- answer{value, err}
	})
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("ask the database: %w", context.Cause(ctx))
	}
}
