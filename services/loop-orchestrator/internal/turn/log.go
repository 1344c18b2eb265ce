package turn

import (
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/attempt"
)

// logFailedCall logs a failed model call. took is the call's time, or how long
// the next attempt waits.
func (h *Handler) logFailedCall(c run.Chain, why run.Failure, outcome string, took time.Duration) {
	fields := []zap.Field{
		zap.String("kind", string(c.Endpoint)), zap.String("request_id", run.Hex(c.ID)), zap.Int("step_seq", c.Turn),
		zap.Int("attempt", why.Attempt), zap.String("model", c.Model), zap.String("outcome", outcome),
		zap.Duration("took", took),
	}
	h.Log.Info("model call failed", append(fields, transcript.LogFields(why, c)...)...)
}

// logRefusedCalls logs the tool calls of a turn that are not made. Their
// reasons and names can quote the model, so only codes are logged, and the
// names of registered tools.
func (h *Handler) logRefusedCalls(t run.TurnCommit) {
	for _, s := range t.Steps {
		if s.Due() {
			continue
		}
		name := s.Name
		if _, known := h.Registry.Tool(name); !known {
			name = "?"
		}
		h.Log.Info("tool call failed",
			zap.String("kind", "tool"), zap.String("request_id", run.Hex(t.ID)), zap.Int("step_seq", s.Index),
			zap.String("tool", name), zap.String("outcome", attempt.Failed),
			zap.String("code", run.ReadFailure(s.Error).Code))
	}
}
