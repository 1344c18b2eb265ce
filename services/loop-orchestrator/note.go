package looporchestrator

import (
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/transcript"
)

// Outcomes of a failed call, in the logs.
const (
	callRetried = "retried" // another attempt follows
	callFailed  = "failed"  // the last one
)

// noteFailedCall logs a failed model call. took is the call's time, or how long
// the next attempt waits.
func (o *orchestrator) noteFailedCall(c store.Chain, why transcript.Failure, outcome string, took time.Duration) {
	fields := []zap.Field{
		zap.String("kind", string(c.Endpoint)), zap.String("request_id", dispatch.BusID(c.ID)), zap.Int("step_seq", c.Turn),
		zap.Int("attempt", why.Attempt), zap.String("model", c.Model), zap.String("outcome", outcome), zap.Duration("took", took),
	}
	o.Log.Info("model call failed", append(fields, transcript.LogFields(why, c)...)...)
}

// noteFailedTool logs a failed tool call. Its text is not logged if the tool
// answered: it holds what the tool said.
func (o *orchestrator) noteFailedTool(r store.ToolResult, tool string, why transcript.Failure) {
	outcome := callFailed
	if r.Retry {
		outcome = callRetried
	}
	fields := []zap.Field{
		zap.String("kind", "tool"), zap.String("request_id", dispatch.BusID(r.ID)), zap.Int("step_seq", r.Index),
		zap.Int("attempt", r.Attempt), zap.String("tool", tool), zap.String("outcome", outcome), zap.Duration("took", r.Took),
		zap.String("code", why.Code), zap.Int("status", why.HTTPStatus),
	}
	if why.HTTPStatus == 0 {
		fields = append(fields, zap.String("error", why.Message))
	}
	o.Log.Info("tool call failed", fields...)
}

// noteRefusedTools logs the calls of a turn that are not made. Their reasons
// can quote the model, so only the codes are logged, and the names of tools that
// are registered.
func (o *orchestrator) noteRefusedTools(t store.TurnCommit) {
	for _, s := range t.Steps {
		if s.Due() {
			continue
		}
		name := s.Name
		if _, known := o.Registry.Tool(name); !known {
			name = "?"
		}
		o.Log.Info("tool call failed",
			zap.String("kind", "tool"), zap.String("request_id", dispatch.BusID(t.ID)), zap.Int("step_seq", s.Index),
			zap.String("tool", name), zap.String("outcome", callFailed),
			zap.String("code", transcript.ReadFailure(s.Error).Code))
	}
}
