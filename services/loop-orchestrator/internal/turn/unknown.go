package turn

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/postgres"
	"windlass.dev/windlass/services/internal/worker"
)

// failUnknown fails the request with the cause of an unknown error, so that a
// bug shows as a bug. If that cannot be recorded either, it returns the cause
// after a pause.
func (h *Handler) failUnknown(ctx context.Context, f run.Fence, cause error) error {
	h.Log.Error("step failed by an unknown error", zap.String("request_id", run.Hex(f.ID)),
		zap.Int("step_seq", f.Turn), zap.Int("attempt", f.Attempt), zap.Error(cause))
	err := h.recordUnknown(ctx, f, cause)
	if worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
		return errors.Join(cause, err)
	}
	return err
}

func (h *Handler) recordUnknown(ctx context.Context, f run.Fence, cause error) error {
	row, err := h.Look(ctx, f.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return consume.ErrStale
	case err != nil:
		return err
	case !f.Holds(row):
		return h.PublishDue(ctx, row)
	}
	why := run.Failure{
		Code: run.CodeServerError, Attempt: f.Attempt,
		Message: "The server could not process this step: " + postgres.Reason(cause) + ".",
	}
	return h.commitOnce(ctx, row, failedTurn(f, why))
}
