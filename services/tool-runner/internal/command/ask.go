package command

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

var errNoVerdict = errors.New("the answer has no verdict")

// askIfDue asks a loop-orchestrator whether a command is still due. It asks
// again until it gets an answer or ctx ends; the command stays leased
// meanwhile. asked is when the question that was answered was sent.
func (h *Handler) askIfDue(
	ctx context.Context, d consume.Delivery,
) (answer *stepv1.ToolAnswer, asked time.Time, err error) {
	c := d.Tool
	question := &stepv1.ToolQuestion{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), CallId: c.GetCallId(), DispatchToken: c.GetDispatchToken(),
		Deliveries: uint32(d.Delivered),
	}
	logged := false
	err = retryOutage(ctx, func(ctx context.Context) (err error) {
		asked = time.Now()
		answer, err = h.Bus.Ask(ctx, c.GetPool(), question)
		if err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_UNSPECIFIED {
			err = errNoVerdict
		}
		if err != nil && ctx.Err() == nil && !logged {
			logged = true
			h.Log.Warn("no loop-orchestrator answered, the command waits",
				zap.String("subject", d.Subject), zap.Error(err))
		}
		return err
	})
	return answer, asked, err
}

// checkAgain asks again about a call that is about to be made if more than
// maxWait has passed since it was known to be due, because the runner was
// stopped or waited for the broker: a cancel hint may have been lost meanwhile.
// It returns consume.ErrStale if the call is not due any more.
func (h *Handler) checkAgain(ctx context.Context, d consume.Delivery, checked time.Time) error {
	if time.Since(checked) <= maxWait {
		return nil
	}
	answer, _, err := h.askIfDue(ctx, d)
	if err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE {
		return consume.ErrStale
	}
	return err
}

// ConfirmCancel reports whether the call of a command is not due any more, as a
// cancel hint says.
func (h *Handler) ConfirmCancel(ctx context.Context, d consume.Delivery) bool {
	answer, _, err := h.askIfDue(ctx, d)
	return err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE
}
