// Package turn handles turn commands: it takes the turn, makes the model call,
// commits what the model said, and publishes what follows.
//
// # Promises
//
//   - A turn is committed once, whatever is killed, because the row's attempt
//     is the fence (TestAFirstDeliveryCallsTheModelAndCommits).
//   - Only the first delivery of a command that was published once calls the
//     model under the row's attempt; any other raises the attempt first
//     (TestATakerOfARedeliveredTurnRaisesItFirst).
//   - A turn that kills its workers fails the request and leaves a dead letter
//     (TestATurnThatKillsItsTakersIsQuarantined).
//   - An unknown error fails the request with its cause
//     (TestUnknownErrorFailsTheStep).
//
// The tests are those of loop-orchestrator, which run the assembled handler.
//
// It does not promise that a model is called once: a crash between the answer
// and its commit repeats the call.
package turn

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

// staleAfter is how old what is known of a row may be when a call is made or
// commanded by it.
const staleAfter = time.Second

// Handler handles turn commands. Safe for concurrent use.
type Handler struct {
	*worker.Worker

	// Call makes the model call of a turn; see modelcall.Caller.Call.
	Call func(context.Context, run.Chain) (run.TurnCommit, error)
}

// Handle handles one delivery of a turn command.
func (h *Handler) Handle(ctx context.Context, d consume.Delivery) error {
	f, err := dispatch.Fence(d.Turn.GetIdentity())
	if err != nil {
		return errors.Join(consume.ErrPoison, err)
	}
	if d.Delivered > 1 || d.Turn.GetRepeat() {
		return h.raise(ctx, f, d.Delivered > 1)
	}
	c, err := h.load(ctx, f)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return consume.ErrStale
	case worker.Unknown(ctx, err):
		return h.failUnknown(ctx, f, err)
	case err != nil:
		return err
	case !f.Holds(c.Row):
		return h.PublishDue(ctx, c.Row)
	case c.DueIn > 0:
		return nil // parked; the sweep publishes it when it is due
	}
	failpoint.Hit(failpoint.TurnAfterTake)
	began := time.Now()
	h.Log.Debug("turn taken", zap.String("request_id", run.Hex(f.ID)), zap.Int("step_seq", f.Turn),
		zap.Int("attempt", f.Attempt))
	commit, err := h.Call(ctx, c)
	if errors.Is(err, consume.ErrDraining) {
		return h.handOver(ctx, f, err)
	}
	if err != nil {
		return h.failCall(ctx, c, f, err, time.Since(began))
	}
	commit.Fence, commit.Took = f, time.Since(began)
	failpoint.Hit(failpoint.TurnAfterModel)
	return h.commit(ctx, c.Row, commit)
}

// load loads the row. If that took long, the row is loaded once more: the
// process may have been stopped meanwhile, and the request cancelled.
func (h *Handler) load(ctx context.Context, f run.Fence) (c run.Chain, err error) {
	for range 2 {
		began := time.Now()
		c, err = worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Chain, error) {
			return h.Store.Load(ctx, f.ID)
		})
		if err != nil || time.Since(began) < staleAfter {
			break
		}
	}
	return c, err
}

// ConfirmCancel reports whether a request that a cancel hint names has ended. A
// hint is not believed without its row: anyone may publish one.
func (h *Handler) ConfirmCancel(ctx context.Context, d consume.Delivery) bool {
	f, err := dispatch.Fence(d.Turn.GetIdentity())
	if err != nil {
		return false
	}
	row, err := h.Look(ctx, f.ID)
	return errors.Is(err, store.ErrNotFound) || err == nil && row.Status.Terminal()
}
