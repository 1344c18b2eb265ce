package worker

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/store/postgres"
)

// outagePolicy is how often an operation is tried during an outage.
var outagePolicy = retry.Policy{First: 20 * time.Millisecond, Last: time.Second}

// RetryOutage repeats op while the database or the bus is unavailable, until op
// answers or ctx ends. It returns the last error of op; an error that is not an
// outage is returned at once. No attempt of a step is counted.
func (w *Worker) RetryOutage(ctx context.Context, op func(context.Context) error) error {
	return retry.Do(ctx, outagePolicy, w.isOutage, op)
}

func (w *Worker) isOutage(err error) bool {
	if !Unavailable(err) {
		return false
	}
	if w.throttle.allow("outage") {
		w.Log.Info("infrastructure unavailable, trying again", zap.Error(err))
	}
	return true
}

// Retry is RetryOutage for an operation that returns a value.
func Retry[T any](ctx context.Context, w *Worker, op func(context.Context) (T, error)) (T, error) {
	var value T
	err := w.RetryOutage(ctx, func(ctx context.Context) (err error) {
		value, err = op(ctx)
		return err
	})
	return value, err
}

// Unavailable reports whether an error means that the database or the bus is
// unavailable. Such an error passes by itself; every other is final.
func Unavailable(err error) bool {
	return !errors.Is(err, bus.ErrTooLarge) && (postgres.Unavailable(err) || bus.Unavailable(err))
}
