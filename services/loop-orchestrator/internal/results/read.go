package results

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/loop-orchestrator/internal/attempt"
)

var errUnproven = errors.New("it has no valid dispatch token")

// read reads a result from its event. ok is false if the event does not echo
// the token of a command that Windlass made.
func (c *Committer) read(e *stepv1.StepEvent) (r store.ToolResult, ok bool) {
	id := e.GetIdentity()
	f, err := dispatch.Fence(id)
	hash, token := Echo(e)
	if err != nil || !c.Publish.Key.Holds(token, id, e.GetCallId()) {
		c.Metrics.Unproven("result")
		c.LogFailure("tool result that does not prove its call dropped", errUnproven,
			zap.String("request_id", id.GetRequestId()), zap.Uint32("step_seq", id.GetIndex()))
		return store.ToolResult{}, false
	}
	r = store.ToolResult{
		ID: f.ID, Epoch: f.Epoch, Turn: f.Turn, Index: int(id.GetIndex()), Attempt: f.Attempt,
		CallID: e.GetCallId(), InputHash: hash,
	}
	if done := e.GetToolCompleted(); done != nil {
		r.Output, r.Took = done.GetOutput(), time.Duration(done.GetTookUs())*time.Microsecond
		if r.Output == nil {
			r.Output = []byte{}
		}
		c.Metrics.Step("tool", "done", r.Took)
		return r, true
	}
	c.readFailure(&r, e)
	return r, true
}

// readFailure decides between another attempt and a failure that the model
// sees.
func (c *Committer) readFailure(r *store.ToolResult, e *stepv1.StepEvent) {
	failed := e.GetToolFailed()
	why := bus.ReadFailure(failed.GetFailure())
	asked := why.RetryAfter
	why.Attempt, why.RetryAfter = r.Attempt, 0 // the audit trail shows no wait of a tool
	r.Error, r.Took = why.Encode(), time.Duration(failed.GetTookUs())*time.Microsecond
	tool, known := c.Registry.Tool(e.GetName())
	outcome := attempt.Failed
	if why.Retriable && known && r.Attempt < tool.Attempts {
		outcome, r.Retry = attempt.Retried, true
		r.Wait = max(asked, attempt.Backoff(r.Attempt-1))
	} else {
		r.Output = why.ForModel()
	}
	c.Metrics.Step("tool", outcome, r.Took)
	c.logFailure(*r, e.GetName(), why, outcome)
}

// logFailure logs a failed tool call. Its text is not logged if the tool
// answered, because it holds what the tool said.
func (c *Committer) logFailure(r store.ToolResult, tool string, why run.Failure, outcome string) {
	fields := []zap.Field{
		zap.String("kind", "tool"), zap.String("request_id", run.Hex(r.ID)), zap.Int("step_seq", r.Index),
		zap.Int("attempt", r.Attempt), zap.String("tool", tool), zap.String("outcome", outcome),
		zap.Duration("took", r.Took), zap.String("code", why.Code), zap.Int("status", why.HTTPStatus),
	}
	if why.HTTPStatus == 0 {
		fields = append(fields, zap.String("error", why.Message))
	}
	c.Log.Info("tool call failed", fields...)
}

// Echo returns what a result repeats of its command: the input's hash and the
// dispatch token.
func Echo(e *stepv1.StepEvent) (hash, token []byte) {
	if done := e.GetToolCompleted(); done != nil {
		return done.GetInputHash(), done.GetDispatchToken()
	}
	failed := e.GetToolFailed()
	return failed.GetInputHash(), failed.GetDispatchToken()
}
