package gateway

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/store/postgres"
)

const (
	// patience is how long a client is kept waiting for the database before it is told that the database is away.
	patience   = 900 * time.Millisecond
	firstPause = 20 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

// patient bounds all that one request asks of the database.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, patience, errAway)
}

// within asks the database, repeats what may be repeated, and gives up when ctx ends. A statement the database says nothing to
// is left behind: it ends by its own limit of 5 s, and tasks knows of it.
func within[T any](ctx context.Context, tasks *sync.WaitGroup, ask func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	tasks.Go(func() {
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			value, err := ask(ctx)
			if err == nil || !postgres.Unavailable(err) || !process.Sleep(ctx, rand.N(pause)) {
				answers <- answer{value, err}
				return
			}
		}
	})
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("ask the database: %w", context.Cause(ctx))
	}
}
