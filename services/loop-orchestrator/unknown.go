package looporchestrator

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

// failUnknown fails the request with the cause of an unknown error, so that a
// bug shows as a bug. If that cannot be recorded either, it returns the cause
// after a pause.
func (o *orchestrator) failUnknown(ctx context.Context, f store.Fence, cause error) error {
	o.Log.Error("step failed by an unknown error", zap.String("request_id", dispatch.BusID(f.ID)), zap.Int("step_seq", f.Turn),
		zap.Int("attempt", f.Attempt), zap.Error(cause))
	err := o.recordUnknown(ctx, f, cause)
	if worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
		return errors.Join(cause, err)
	}
	return err
}

func (o *orchestrator) recordUnknown(ctx context.Context, f store.Fence, cause error) error {
	var row store.Row
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		row, err = o.Store.Look(ctx, f.ID)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return bus.ErrStale
	case err != nil:
		return err
	case !f.Holds(row):
		return o.publishDue(ctx, row)
	}
	why := transcript.Failure{Code: "server_error", Message: "The server could not process this step: " + store.Reason(cause) + ".", Attempt: f.Attempt}
	return o.commitOnce(ctx, row, failedTurn(f, why))
}

// resultsApart commits each result of a batch that met an unknown error by
// itself, so that one bad result does not fail its neighbours.
func (o *orchestrator) resultsApart(ctx context.Context, batch []bus.Delivery) []error {
	errs := make([]error, len(batch))
	for i, d := range batch {
		errs[i] = o.commitResults(ctx, []bus.Delivery{d})
		if worker.Unknown(ctx, errs[i]) {
			errs[i] = o.refuseResult(ctx, d, errs[i])
		}
	}
	return errs
}

// refuseResult records a result that cannot be recorded as a failed call.
func (o *orchestrator) refuseResult(ctx context.Context, d bus.Delivery, cause error) error {
	id := d.Event.GetIdentity()
	o.Log.Error("tool result failed by an unknown error", zap.String("request_id", id.GetRequestId()),
		zap.Uint32("step_seq", id.GetIndex()), zap.Error(cause))
	hash, token := echoes(d.Event)
	failed := proto.CloneOf(d.Event)
	failed.Event = &stepv1.StepEvent_ToolFailed{ToolFailed: &stepv1.ToolFailed{
		InputHash: hash, DispatchToken: token,
		Failure: &stepv1.Failure{Code: "server_error", Message: "The server could not record the result: " + store.Reason(cause) + "."},
	}}
	d.Event = failed
	err := o.commitResults(ctx, []bus.Delivery{d})
	if worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
		return errors.Join(cause, err)
	}
	return err
}
