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
	"windlass.dev/windlass/services/internal/isolate"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/attempt"
)

const (
	// MaxCrashes is how many processes a turn may end in which it ran alone
	// before it fails.
	MaxCrashes = 5
	// handOverTime bounds giving a turn to another orchestrator at the end of
	// the grace.
	handOverTime = 3 * time.Second
	// patience is how many attempts of a suspect follow each other without a
	// pause.
	patience = 4
)

// raise takes a turn over from the worker that had it. The old attempt can
// commit nothing any more, and the command of the new one is delivered for the
// first time, so that the message in flight always carries the row's attempt.
func (h *Handler) raise(ctx context.Context, f run.Fence, blame run.Blame, wait time.Duration) error {
	row, err := worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Row, error) {
		return h.Store.Raise(ctx, f, blame, wait)
	})
	if errors.Is(err, store.ErrStale) {
		return h.CatchUp(ctx, f.ID)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RaiseAfterCommit)
	if n := row.ProvenCrashes(); n >= MaxCrashes {
		return h.quarantine(ctx, row, n)
	}
	return h.Dispatch(ctx, false, row)
}

// takeOver raises a turn that was delivered before. Its worker may have died,
// with all the turns beside it, for any reason.
func (h *Handler) takeOver(ctx context.Context, f run.Fence, redelivered bool) error {
	blame := run.NoBlame
	switch {
	case redelivered && h.Isolate != nil:
		blame = run.Suspected
	case redelivered:
		blame = run.Proven
	}
	var wait time.Duration
	if f.Attempt > patience { // a turn whose workers keep dying is not to be the only one that runs
		wait = attempt.Backoff(f.Attempt - patience)
	}
	return h.raise(ctx, f, blame, wait)
}

// blameTurn records that a turn ended a process in which it ran alone, or
// panicked. The fifth time it fails the request.
func (h *Handler) blameTurn(ctx context.Context, row run.Row, crash *isolate.Crash) error {
	proven := row.ProvenCrashes() + 1
	h.Log.Error("turn ended its process", zap.String("request_id", run.Hex(row.ID)), zap.Int("step_seq", row.Turn),
		zap.Int("attempt", row.Attempt), zap.Int("crashes", proven), zap.Error(crash))
	if proven < MaxCrashes {
		return h.raise(ctx, row.Fence(), run.Proven, attempt.Backoff(proven))
	}
	now, err := h.Look(ctx, row.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return consume.ErrStale
	case err != nil:
		return err
	case !row.Fence().Holds(now): // the process ended after its commit
		return h.PublishDue(ctx, now)
	}
	return h.quarantine(ctx, row, proven)
}

// quarantine fails a request whose turn ended so many processes.
func (h *Handler) quarantine(ctx context.Context, row run.Row, crashes int) error {
	why := run.Failure{
		Code: run.CodePoison, Attempt: row.Attempt,
		Message: fmt.Sprintf("The step was given up after %d processes ended while they ran it.", crashes),
	}
	h.Log.Error("request quarantined", zap.String("request_id", run.Hex(row.ID)), zap.Int("attempt", row.Attempt))
	f := row.Fence()
	letter := message.Dead(&stepv1.DeadLetter{
		Identity: dispatch.Identity(f), Tenant: row.Tenant,
		Failure: bus.EncodeFailure(run.Failure{Code: why.Code, Message: why.Message}),
	})
	err := h.RetryOutage(ctx, func(ctx context.Context) error {
		_, err := h.Bus.Publish(ctx, letter)
		return err
	})
	if err != nil {
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
	if err := h.raise(ctx, f, run.NoBlame, 0); err != nil && !errors.Is(err, consume.ErrStale) {
		return errors.Join(cause, err)
	}
	return nil
}
