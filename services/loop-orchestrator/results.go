package looporchestrator

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

// errCommitted is the outcome of a result, which is not "done" when its call
// failed.
var errCommitted = &bus.Handled{Outcome: "committed"}

// results commits a batch of tool results. The batch has one outcome, an error
// hands all of it back, unless the error is an unknown one.
func (o *orchestrator) results(ctx context.Context, batch []bus.Delivery) []error {
	err := o.commitResults(ctx, batch)
	if worker.Unknown(ctx, err) {
		return o.resultsApart(ctx, batch)
	}
	if err == nil {
		err = errCommitted
	}
	errs := make([]error, len(batch))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// commitResults turns the batch's steps in one statement and publishes what those requests need whose last step it turned.
func (o *orchestrator) commitResults(ctx context.Context, batch []bus.Delivery) error {
	all := make([]store.ToolResult, 0, len(batch))
	again := make(map[uuid.UUID]bool) // requests of redelivered results
	for _, d := range batch {
		r, ok := o.result(d.Event)
		if !ok {
			continue // not ours to believe; the sweep asks the runner again
		}
		all = append(all, r)
		if d.Delivered > 1 {
			again[r.ID] = true
		}
	}
	if len(all) == 0 {
		return nil
	}
	var turned []store.Progress
	tries := 0
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		tries++
		turned, err = o.Store.CommitResults(ctx, all)
		return err
	})
	if err != nil {
		return err
	}
	if tries > 1 { // an earlier try may have been committed and its answer lost: this one turned nothing then
		for _, r := range all {
			again[r.ID] = true
		}
	}
	failpoint.Hit(failpoint.ResultsAfterCommit)
	o.tellProgress(turned)
	var rows []store.Row
	for _, p := range turned {
		if p.Over() {
			rows = append(rows, p.Row)
			delete(again, p.ID)
		}
	}
	if err := o.Dispatch(ctx, false, rows...); err != nil {
		return err
	}
	failpoint.Hit(failpoint.ResultsAfterPublish)
	return o.publishAgain(ctx, again)
}

// publishAgain publishes what the requests of redelivered results need: whoever committed those may have died before it published.
func (o *orchestrator) publishAgain(ctx context.Context, requests map[uuid.UUID]bool) error {
	for id := range requests {
		if err := o.catchUp(ctx, store.Fence{ID: id}); err != nil && !errors.Is(err, bus.ErrStale) {
			return err
		}
	}
	return nil
}

// result reads one event. ok is false for one that was not made with a command of ours.
func (o *orchestrator) result(e *stepv1.StepEvent) (store.ToolResult, bool) {
	id := e.GetIdentity()
	f, err := fence(id)
	hash, token := echoes(e)
	if err != nil || !o.Publish.Key.Holds(token, id, e.GetCallId()) {
		o.Log.Warn("tool result without a valid dispatch token dropped", zap.String("request_id", id.GetRequestId()),
			zap.Uint32("step_seq", id.GetIndex()))
		return store.ToolResult{}, false
	}
	r := store.ToolResult{
		ID: f.ID, Epoch: f.Epoch, Turn: f.Turn, Index: int(id.GetIndex()), Attempt: f.Attempt,
		CallID: e.GetCallId(), InputHash: hash,
	}
	if done := e.GetToolCompleted(); done != nil {
		r.Output, r.Took = done.GetOutput(), time.Duration(done.GetTookUs())*time.Microsecond
		if r.Output == nil {
			r.Output = []byte{}
		}
		o.Metrics.Step("tool", "done", r.Took)
		return r, true
	}
	o.failedTool(&r, e)
	return r, true
}

// failedTool decides between another attempt and an error the model sees.
func (o *orchestrator) failedTool(r *store.ToolResult, e *stepv1.StepEvent) {
	failed := e.GetToolFailed()
	why := transcript.Failure{
		Code: failed.GetFailure().GetCode(), Message: failed.GetFailure().GetMessage(),
		HTTPStatus: int(failed.GetFailure().GetHttpStatus()), Attempt: r.Attempt,
	}
	r.Error, r.Took = why.Encode(), time.Duration(failed.GetTookUs())*time.Microsecond
	tool, known := o.Registry.Tool(e.GetName())
	if failed.GetFailure().GetRetriable() && known && r.Attempt < tool.Attempts {
		r.Retry = true
		r.Wait = max(time.Duration(failed.GetFailure().GetRetryAfterMs())*time.Millisecond, backoff(r.Attempt-1))
		o.Metrics.Step("tool", "retried", r.Took)
		o.noteFailedTool(*r, e.GetName(), why)
		return
	}
	r.Output = why.ForModel()
	o.Metrics.Step("tool", "failed", r.Took)
	o.noteFailedTool(*r, e.GetName(), why)
}

func echoes(e *stepv1.StepEvent) (hash, token []byte) {
	if done := e.GetToolCompleted(); done != nil {
		return done.GetInputHash(), done.GetDispatchToken()
	}
	failed := e.GetToolFailed()
	return failed.GetInputHash(), failed.GetDispatchToken()
}
