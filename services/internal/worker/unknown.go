package worker

import (
	"context"
	"errors"
	"time"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/store"
)

// unknownPause is how long a handler holds a message whose failure cannot be
// recorded: a broken schema must not be queried a thousand times a second.
const unknownPause = time.Second

// Unknown reports whether an error is neither a verdict of the store or the
// bus, nor an outage, nor an end of the handler's own context. It is a bug or a
// broken schema, and repeats however often the step is tried.
func Unknown(ctx context.Context, err error) bool {
	if err == nil || context.Cause(ctx) != nil || Unavailable(err) || errors.Is(err, context.Canceled) {
		return false
	}
	for _, verdict := range []error{
		store.ErrStale, store.ErrNotFound,
		consume.ErrStale, consume.ErrPoison, consume.ErrDraining, consume.ErrCancelled,
	} {
		if errors.Is(err, verdict) {
			return false
		}
	}
	return true
}

// PauseUnknown waits before a handler returns an unknown error that it could
// not record, because the bus delivers the message again at once.
func PauseUnknown(ctx context.Context) { retry.Sleep(ctx, unknownPause) }
