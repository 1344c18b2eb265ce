package looporchestrator

import (
	"context"
	"fmt"

	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/loop-orchestrator/internal/chat"
	"windlass.dev/windlass/services/loop-orchestrator/internal/onecall"
)

// oneCall is think for a request that is one model call: there is no history and nothing to plan.
func (o *orchestrator) oneCall(ctx context.Context, c store.Chain, e relay.Endpoint) (store.TurnCommit, error) {
	model, ok := o.Registry.Model(c.Model)
	if !ok {
		return store.TurnCommit{}, &chat.CallError{
			Code: "model_not_found", Message: fmt.Sprintf("The model %q is no longer configured.", c.Model),
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Remaining, errDeadline)
	defer cancel()
	ctx, cancelCall := context.WithTimeoutCause(ctx, model.Timeout, chat.ErrCallTimeout)
	defer cancelCall()
	return onecall.Do(ctx, o.upstream, model, e, c)
}
