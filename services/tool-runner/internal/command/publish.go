package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/retry"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

// outagePolicy is for everything that fails only while the bus is unavailable.
var outagePolicy = retry.Policy{First: 50 * time.Millisecond, Last: 2 * time.Second}

// publishTimeout bounds one try to publish a result. The stream may have to be
// repaired in that time.
const publishTimeout = 5 * time.Second

// publishResult stores a result. It tries until it succeeds or ctx ends,
// because the call cannot be made again for free. After the end of ctx it tries
// once more, unless the request is cancelled.
func (h *Handler) publishResult(ctx context.Context, d consume.Delivery, result *stepv1.StepEvent) error {
	pauses := outagePolicy.Pauses()
	for tries := 1; ; tries++ {
		if errors.Is(context.Cause(ctx), consume.ErrCancelled) {
			return consume.ErrCancelled
		}
		last := ctx.Err() != nil
		err := h.tryPublish(ctx, message.Event(result).WithTrace(d.Trace))
		switch {
		case err == nil && tries > 1:
			h.Log.Info("result published late", zap.String("subject", d.Subject), zap.Int("tries", tries))
			return nil
		case err == nil:
			return nil
		case errors.Is(err, bus.ErrTooLarge) && result.GetToolCompleted() != nil:
			took := time.Duration(result.GetToolCompleted().GetTookUs()) * time.Microsecond
			result = failedEvent(d.Tool, outputTooLarge, took)
			tries = 0
			continue
		case last:
			return fmt.Errorf("publish result: %w", err)
		case tries == 1:
			h.Log.Warn("result kept", zap.String("subject", d.Subject), zap.Error(err))
		}
		pauses.Sleep(ctx)
	}
}

// tryPublish publishes with a timeout of its own: if the wait ended with ctx, a
// stored result would be unknown.
func (h *Handler) tryPublish(ctx context.Context, m message.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	_, err := h.Bus.Publish(ctx, m)
	return err
}

// retryOutage repeats op while the bus is unavailable, until it succeeds, ctx
// ends or a stream is full.
func retryOutage(ctx context.Context, op func(context.Context) error) error {
	return retry.Do(ctx, outagePolicy, func(err error) bool { return !errors.Is(err, bus.ErrFull) }, op)
}
