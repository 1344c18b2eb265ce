package settlement

import (
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/finalizer/internal/answer"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/transcript"
)

// logSettled logs the end of a request in one line: what it used and, if it
// failed, why.
func (h *Handler) logSettled(c store.Chain) {
	tools, failed := 0, 0
	var input, output int64
	for _, s := range c.Steps {
		input, output = input+s.InputTokens, output+s.OutputTokens
		if s.Index == 0 {
			continue
		}
		if tools++; s.State == store.StepFailed {
			failed++
		}
	}
	fields := []zap.Field{
		zap.String("kind", string(c.Endpoint)), zap.String("request_id", dispatch.BusID(c.ID)), zap.String("model", c.Model),
		zap.String("outcome", string(c.Outcome)), zap.Duration("took", time.Since(c.CreatedAt)),
		zap.Int("step_seq", c.Turn), zap.Int("tool_calls", tools), zap.Int("tools_failed", failed),
		zap.Int64("input_tokens", input), zap.Int64("output_tokens", output),
	}
	switch c.Outcome {
	case store.Failed:
		fields = append(fields, transcript.LogFields(answer.LastFailure(c), c)...)
	case store.Incomplete:
		fields = append(fields, zap.String("code", c.Reason))
	}
	h.Log.Info("request settled", fields...)
}
