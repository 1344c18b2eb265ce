package turn

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

// commit writes the turn and publishes what follows. A turn that the store
// refuses to write for an unknown reason fails the request.
func (h *Handler) commit(ctx context.Context, before run.Row, t run.TurnCommit) error {
	err := h.commitOnce(ctx, before, t)
	if worker.Unknown(ctx, err) {
		return h.failUnknown(ctx, t.Fence, err)
	}
	return err
}

func (h *Handler) commitOnce(ctx context.Context, before run.Row, t run.TurnCommit) error {
	var began time.Time
	row, err := worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Row, error) {
		began = time.Now()
		return h.Store.CommitTurn(ctx, before, t)
	})
	if errors.Is(err, store.ErrStale) {
		return h.CatchUp(ctx, t.ID)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.TurnAfterCommit)
	outcome := "done"
	if t.Failed {
		outcome = "failed"
	}
	h.Metrics.Step("model", outcome, t.Took)
	h.logRefusedCalls(t)
	h.Bus.Announce(turnEvent(before, t))
	if time.Since(began) > staleAfter {
		// The process may have been stopped since the commit. Calls of a
		// request that was cancelled meanwhile must not be published: the
		// runner takes them for new ones.
		now, err := h.Look(ctx, t.ID)
		if err != nil {
			return err
		}
		if now.Status.Terminal() {
			row = now
		}
	}
	if err := h.Dispatch(ctx, false, row); err != nil {
		return err
	}
	failpoint.Hit(failpoint.TurnAfterPublish)
	return nil
}

func failedTurn(f run.Fence, why run.Failure) run.TurnCommit {
	return run.TurnCommit{Fence: f, Failed: true, Error: why.Encode(), Outcome: run.Failed, Reason: why.Code}
}

// turnEvent is the step stream's event of a committed turn.
func turnEvent(row run.Row, t run.TurnCommit) message.Message {
	e := &stepv1.StepEvent{
		Identity: dispatch.Identity(t.Fence), Tenant: row.Tenant, Name: row.Model, EventTime: timestamppb.Now(),
	}
	if t.Failed {
		e.Event = &stepv1.StepEvent_ModelFailed{ModelFailed: &stepv1.ModelFailed{
			Failure: bus.EncodeFailure(run.Failure{Code: t.Reason}),
		}}
	} else {
		e.Event = &stepv1.StepEvent_ModelCompleted{ModelCompleted: &stepv1.ModelCompleted{
			ToolCalls: uint32(len(t.Steps)), InputTokens: uint64(t.InputTokens), OutputTokens: uint64(t.OutputTokens),
			TookUs: uint64(t.Took.Microseconds()),
		}}
	}
	return message.Event(e).WithTrace(row.Trace)
}
