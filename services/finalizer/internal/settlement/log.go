package settlement

import (
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/finalizer/internal/answer"
	"windlass.dev/windlass/services/internal/transcript"
)

// logSettled logs the end of a request in one line: what it used and, if it
// failed, why.
func (h *Handler) logSettled(c run.Chain) {
	tools, failed := 0, 0
	var input, output int64
	for _, s := range c.Steps {
		input, output = input+s.InputTokens, output+s.OutputTokens
		if s.Index == 0 {
			continue
		}
		if tools++; s.State == run.StepFailed {
			failed++
		}
	}
	fields := []zap.Field{
		zap.String("kind", string(c.Endpoint)), zap.String("request_id", run.Hex(c.ID)), zap.String("model", c.Model),
		zap.String("outcome", string(c.Outcome)), zap.Duration("took", answer.DecidedAt(c).Sub(run.CreatedAt(c.ID))),
		zap.Int("step_seq", c.Turn), zap.Int("tool_calls", tools), zap.Int("tools_failed", failed),
		zap.Int64("input_tokens", input), zap.Int64("output_tokens", output),
	}
	switch c.Outcome {
	case run.Failed:
		fields = append(fields, transcript.LogFields(answer.LastFailure(c), c)...)
	case run.Incomplete:
		fields = append(fields, zap.String("code", c.Reason))
	}
	h.Log.Info("request settled", fields...)
}
