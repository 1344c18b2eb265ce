package command

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

var errNoVerdict = errors.New("the answer has no verdict")

// askIfDue asks a loop-orchestrator whether a command is still due. It asks
// again until it gets an answer or ctx ends; the command stays leased
// meanwhile.
func (h *Handler) askIfDue(ctx context.Context, d consume.Delivery) (answer *stepv1.ToolAnswer, err error) {
	c := d.Tool
	question := &stepv1.ToolQuestion{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), CallId: c.GetCallId(), DispatchToken: c.GetDispatchToken(),
		Deliveries: uint32(d.Delivered),
	}
	logged := false
	err = retryOutage(ctx, func(ctx context.Context) (err error) {
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
	return answer, err
}

// ConfirmCancel reports whether the call of a command is not due any more, as a
// cancel hint says.
func (h *Handler) ConfirmCancel(ctx context.Context, d consume.Delivery) bool {
	answer, err := h.askIfDue(ctx, d)
	return err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE
}
