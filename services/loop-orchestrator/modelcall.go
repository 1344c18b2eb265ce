package looporchestrator

import (
	"context"
	"fmt"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// asked is what a request says, and the model that serves it. Its error is a *model.CallError.
func (o *orchestrator) asked(c store.Chain) (*responses.Create, registry.Model, error) {
	request, fault := responses.Decode(c.Body)
	if fault != nil { // it was valid when it was accepted: another version of the gateway took it
		return nil, registry.Model{}, &model.CallError{Code: "invalid_prompt", Message: fault.Message}
	}
	served, err := o.served(c)
	return request, served, err
}

// served is the model that serves a request. Its error is a *model.CallError.
func (o *orchestrator) served(c store.Chain) (registry.Model, error) {
	served, ok := o.Registry.Model(c.Model)
	if !ok {
		return served, &model.CallError{Code: "model_not_found", Message: fmt.Sprintf("The model %q is no longer configured.", c.Model)}
	}
	return served, nil
}

// inTime bounds a call by what is left of the request's time and by the model's own.
func inTime(ctx context.Context, c store.Chain, served registry.Model) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Remaining, errDeadline)
	ctx, cancelCall := context.WithTimeoutCause(ctx, served.Timeout, upstream.ErrCallTimeout)
	return ctx, func() {
		cancelCall()
		cancel()
	}
}

// headersOf are those of a turn's call, the same for every attempt.
func headersOf(c store.Chain) upstream.Headers {
	return upstream.Headers{IdempotencyKey: dispatch.IdempotencyKey(c.ID, c.Turn, 0, ""), Traceparent: c.Trace}
}
