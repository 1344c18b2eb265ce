package toolrunner

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

const (
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// publishTimeout bounds one try to publish a result; it holds a repair of the stream.
	publishTimeout = 5 * time.Second
)

// publish stores a result. It tries until it succeeds or ctx ends: a result that was paid for with a call is not given up
// while the message is held. After the end of ctx there is one more try, unless the request is cancelled.
func (r *runner) publish(ctx context.Context, d bus.Delivery, result *stepv1.StepEvent) error {
	for n, pause := 0, firstPause; ; n, pause = n+1, min(2*pause, lastPause) {
		if errors.Is(context.Cause(ctx), bus.ErrCancelled) {
			return bus.ErrCancelled
		}
		last := ctx.Err() != nil
		err := r.tryPublish(ctx, bus.Event(result).WithTrace(d.Trace))
		switch {
		case err == nil && n > 0:
			r.log.Info("result published late", zap.String("subject", d.Subject), zap.Int("tries", n+1))
			return nil
		case err == nil:
			return nil
		case errors.Is(err, bus.ErrTooLarge) && result.GetToolCompleted() != nil:
			took := time.Duration(result.GetToolCompleted().GetTookUs()) * time.Microsecond
			result = failure(d.Tool, outputTooLarge, took)
			n = -1 // it has not been tried yet
			continue
		case last:
			return fmt.Errorf("publish result: %w", err)
		case n == 0:
			r.log.Warn("result kept", zap.String("subject", d.Subject), zap.Error(err))
		}
		sleep(ctx, pause)
	}
}

// tryPublish publishes with the message's own time limit: a wait that ended with ctx would leave a stored result unknown.
func (r *runner) tryPublish(ctx context.Context, m bus.Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	_, err := r.bus.Publish(ctx, m)
	return err
}

// retry repeats what fails only because the bus is away, until it succeeds, ctx
// ends or a stream is full.
func retry(ctx context.Context, try func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		err := try(ctx)
		if err == nil || errors.Is(err, bus.ErrFull) {
			return err
		}
		if sleep(ctx, pause); ctx.Err() != nil {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
}

// sleep waits for up to pause, at least half of it, or until ctx ends.
func sleep(ctx context.Context, pause time.Duration) {
	t := time.NewTimer(pause/2 + rand.N(pause/2))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
