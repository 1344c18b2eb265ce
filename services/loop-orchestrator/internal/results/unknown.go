package results

import (
	"context"
	"errors"

	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/worker"
)

// commitEach commits each result of a batch that met an unknown error by
// itself, so that one bad result does not fail its neighbours.
func (c *Committer) commitEach(ctx context.Context, batch []consume.Delivery) []error {
	errs := make([]error, len(batch))
	for i, d := range batch {
		errs[i] = c.Commit(ctx, []consume.Delivery{d})
		if worker.Unknown(ctx, errs[i]) {
			errs[i] = c.commitAsFailed(ctx, d, errs[i])
		}
	}
	return errs
}

// commitAsFailed commits a result that the store refuses as a failed call.
func (c *Committer) commitAsFailed(ctx context.Context, d consume.Delivery, cause error) error {
	id := d.Event.GetIdentity()
	c.Log.Error("tool result failed by an unknown error", zap.String("request_id", id.GetRequestId()),
		zap.Uint32("step_seq", id.GetIndex()), zap.Error(cause))
	hash, token := Echo(d.Event)
	failed := proto.CloneOf(d.Event)
	failed.Event = &stepv1.StepEvent_ToolFailed{ToolFailed: &stepv1.ToolFailed{
		InputHash: hash, DispatchToken: token,
		Failure: bus.EncodeFailure(run.Failure{
			Code:    run.CodeServerError,
			Message: "The server could not record the result: " + postgres.Reason(cause) + ".",
		}),
	}}
	d.Event = failed
	err := c.Commit(ctx, []consume.Delivery{d})
	if worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
		return errors.Join(cause, err)
	}
	return err
}
