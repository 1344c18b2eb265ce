package turn

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/process/shortage"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/attempt"
	"windlass.dev/windlass/services/loop-orchestrator/internal/modelcall"
)

// maxLanePause bounds how long one answer of an upstream pauses a lane. A turn
// that is parked for longer waits alone.
const maxLanePause = 30 * time.Second

// shortagePause is how long a turn waits for another orchestrator if this one
// lacks what the call needs.
const shortagePause = time.Second

// failCall handles a failed model call: the turn is parked for another attempt,
// or the request fails.
func (h *Handler) failCall(ctx context.Context, c run.Chain, f run.Fence, err error, took time.Duration) error {
	var failed *run.Failure
	var lack *shortage.Error
	switch {
	case errors.Is(err, modelcall.ErrDeadline):
		return nil // the sweep expires the request
	case errors.As(err, &lack) && ctx.Err() == nil: // for as long as the model's timeout; not the request's failure
		return h.raise(ctx, f, run.NoBlame, shortagePause)
	case errors.As(err, &failed):
	case worker.Unknown(ctx, err):
		return h.failUnknown(ctx, f, err)
	default:
		return err // cancelled or draining
	}
	why := *failed
	why.Attempt = f.Attempt
	event := why
	event.Message = "" // it may quote the prompt
	h.Bus.Announce(message.Event(&stepv1.StepEvent{
		Identity: dispatch.Identity(f), Tenant: c.Tenant, Name: c.Model, EventTime: timestamppb.Now(),
		Event: &stepv1.StepEvent_ModelFailed{ModelFailed: &stepv1.ModelFailed{Failure: bus.EncodeFailure(event)}},
	}))
	attempts := 1
	if model, ok := h.Registry.Model(c.Model); ok {
		attempts = model.Attempts
	}
	wait := pause(why.RetryAfter, c.Failures)
	if why.Retriable && c.Failures+1 < attempts && wait < c.Remaining-took {
		return h.park(ctx, c, f, wait, why)
	}
	h.logFailedCall(c, why, attempt.Failed, took)
	t := failedTurn(f, why)
	t.Took = took
	return h.commit(ctx, c.Row, t)
}

// park has the turn wait for its next attempt. If the upstream asked to wait,
// the whole lane pauses.
func (h *Handler) park(ctx context.Context, c run.Chain, f run.Fence, wait time.Duration, why run.Failure) error {
	err := h.RetryOutage(ctx, func(ctx context.Context) error {
		_, err := h.Store.RetryTurn(ctx, f, wait, why)
		return err
	})
	if errors.Is(err, store.ErrStale) {
		return h.CatchUp(ctx, f.ID)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RetryAfterCommit)
	h.logFailedCall(c, why, attempt.Retried, wait)
	if why.HTTPStatus == http.StatusTooManyRequests && wait > time.Second {
		if err := h.Bus.PauseLane(ctx, c.Lane, min(wait, maxLanePause)); err != nil {
			h.Log.Info("lane not paused", zap.Error(err))
		}
	}
	return nil
}

// pause is how long a turn waits for its next attempt, never less than the
// upstream asked for. The random part spreads calls that were refused together.
func pause(asked time.Duration, failures int) time.Duration {
	if asked > 0 {
		asked += rand.N(min(asked/10, time.Second) + time.Millisecond)
	}
	return max(asked, attempt.Backoff(failures))
}
