package turn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	// MaxCrashes is how many workers one turn may crash before it fails.
	MaxCrashes = 5
	// handOverTime bounds giving a turn to another orchestrator at the end of
	// the grace.
	handOverTime = 3 * time.Second
)

// raise takes a turn over from the worker that had it. The old attempt can
// commit nothing any more, and the command of the new one is delivered for the
// first time, so that the message in flight always carries the row's attempt.
func (h *Handler) raise(ctx context.Context, f run.Fence, crashed bool) error {
	row, err := worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Row, error) {
		return h.Store.Raise(ctx, f, crashed)
	})
	if errors.Is(err, store.ErrStale) {
		return h.CatchUp(ctx, f.ID)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RaiseAfterCommit)
	if row.Crashes >= MaxCrashes {
		return h.quarantine(ctx, row)
	}
	return h.Dispatch(ctx, false, row)
}

// quarantine fails a request whose turn crashed MaxCrashes workers.
func (h *Handler) quarantine(ctx context.Context, row run.Row) error {
	why := run.Failure{
		Code: run.CodePoison, Attempt: row.Attempt,
		Message: fmt.Sprintf("The step was given up after %d workers ended while they held it.", row.Crashes),
	}
	h.Log.Error("request quarantined", zap.String("request_id", run.Hex(row.ID)), zap.Int("attempt", row.Attempt))
	f := row.Fence()
	letter := message.Dead(&stepv1.DeadLetter{
		Identity: dispatch.Identity(f), Tenant: row.Tenant,
		Failure: bus.EncodeFailure(run.Failure{Code: why.Code, Message: why.Message}),
	})
	if _, err := h.Bus.Publish(ctx, letter); err != nil {
		return fmt.Errorf("publish the dead letter: %w", err)
	}
	return h.commit(ctx, row, failedTurn(f, why))
}

// handOver gives the turn up at the end of the grace, so that another
// orchestrator restarts it at once, without counting a crash. If that fails,
// the message is handed back unchanged.
func (h *Handler) handOver(ctx context.Context, f run.Fence, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	if err := h.raise(ctx, f, false); err != nil && !errors.Is(err, consume.ErrStale) {
		return errors.Join(cause, err)
	}
	return nil
}
