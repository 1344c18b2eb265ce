package toolrunner

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
)

var errNoVerdict = errors.New("the answer has no verdict")

// ask asks whether a command is still due. It asks again until it gets an
// answer or ctx ends; the command stays leased meanwhile.
func (r *runner) ask(ctx context.Context, d bus.Delivery) (answer *stepv1.ToolAnswer, err error) {
	c := d.Tool
	question := &stepv1.ToolQuestion{
		Identity: c.GetIdentity(), Tenant: c.GetTenant(), CallId: c.GetCallId(), DispatchToken: c.GetDispatchToken(),
		Deliveries: uint32(d.Delivered),
	}
	waits := false
	err = retry(ctx, func(ctx context.Context) (err error) {
		answer, err = r.bus.Ask(ctx, c.GetPool(), question)
		if err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_UNSPECIFIED {
			err = errNoVerdict
		}
		if err != nil && ctx.Err() == nil && !waits {
			waits = true
			r.log.Warn("no loop-orchestrator answered, the command waits", zap.String("subject", d.Subject), zap.Error(err))
		}
		return err
	})
	return answer, err
}

// cancelled confirms a cancel hint.
func (r *runner) cancelled(ctx context.Context, d bus.Delivery) bool {
	answer, err := r.ask(ctx, d)
	return err == nil && answer.GetVerdict() == stepv1.ToolVerdict_TOOL_VERDICT_GONE
}
