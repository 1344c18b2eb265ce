package looporchestrator

import (
	"context"
	"fmt"

	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/onecall"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// oneCall is think for a request that is one model call: there is no history and nothing to plan.
func (o *orchestrator) oneCall(ctx context.Context, c store.Chain, e relay.Endpoint) (store.TurnCommit, error) {
	served, ok := o.Registry.Model(c.Model)
	if !ok {
		return store.TurnCommit{}, &model.CallError{
			Code: "model_not_found", Message: fmt.Sprintf("The model %q is no longer configured.", c.Model),
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Remaining, errDeadline)
	defer cancel()
	ctx, cancelCall := context.WithTimeoutCause(ctx, served.Timeout, upstream.ErrCallTimeout)
	defer cancelCall()
	return onecall.Do(ctx, o.upstream, served, e, c)
}
