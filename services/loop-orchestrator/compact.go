package looporchestrator

import (
	"context"
	"errors"
	"fmt"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/itemid"
	"windlass.dev/windlass/services/loop-orchestrator/internal/compact"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/upstream"
)

// compact is think for a request to make a history shorter: one model call, whose answer is the client's new history.
func (o *orchestrator) compact(ctx context.Context, c store.Chain) (store.TurnCommit, error) {
	var none store.TurnCommit
	if !o.keys.Any() {
		return none, unopened(compaction.ErrNoKey)
	}
	request, fault := responses.Decode(c.Body)
	if fault != nil { // it was valid when it was accepted: another version of the gateway took it
		return none, &model.CallError{Code: "invalid_prompt", Message: fault.Message}
	}
	served, ok := o.Registry.Model(c.Model)
	if !ok {
		return none, &model.CallError{Code: "model_not_found", Message: fmt.Sprintf("The model %q is no longer configured.", c.Model)}
	}
	earlier, _, err := o.history(ctx, c)
	if err != nil {
		return none, err
	}
	call := model.Call{Model: served.Upstream.Model, Request: request, Ancestors: earlier}
	dialect := dialects[served.Upstream.Dialect]
	body, err := o.encode(dialect, c.Tenant, compact.Ask(call))
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.Remaining, errDeadline)
	defer cancel()
	ctx, cancelCall := context.WithTimeoutCause(ctx, served.Timeout, upstream.ErrCallTimeout)
	defer cancelCall()
	answer, err := o.upstream.Complete(ctx, served.Upstream, dialect, body, upstream.Headers{
		IdempotencyKey: dispatch.IdempotencyKey(c.ID, c.Turn, 0, ""), Traceparent: c.Trace,
	}, nil)
	if err != nil {
		return none, err
	}
	output, err := o.compacted(c, call, answer)
	if err != nil {
		return none, err
	}
	return store.TurnCommit{
		Output: responses.Compaction{
			ID: "resp_" + dispatch.BusID(c.ID), CreatedAt: dispatch.CreatedAt(c.ID), Output: output, Usage: answer.Usage,
		}.JSON(),
		Outcome: store.Completed, InputTokens: answer.Usage.InputTokens, OutputTokens: answer.Usage.OutputTokens,
	}, nil
}

// compacted is the new history: what the user said, and the rest in one sealed item.
func (o *orchestrator) compacted(c store.Chain, call model.Call, answer model.Answer) ([]item.Item, error) {
	summary, err := compact.Summary(answer)
	if err != nil {
		return nil, err
	}
	users, instructions, err := compact.Kept(o.keys, c.Tenant, call)
	if err != nil {
		return nil, unopened(err)
	}
	sealed, err := o.keys.Seal(c.Tenant, compaction.Content{Kept: instructions, Summary: summary})
	if err != nil {
		return nil, unopened(err)
	}
	output := itemid.Stored(c.ID, users)
	return append(output, item.Compaction(itemid.Output("cmp", c.ID, c.Turn, len(output)), sealed)), nil
}

// encode is the body of a call, with what its compaction items hold.
func (o *orchestrator) encode(dialect model.Dialect, tenant string, call model.Call) ([]byte, error) {
	call, err := compact.Open(o.keys, tenant, call)
	if err != nil {
		return nil, unopened(err)
	}
	body, err := dialect.Encode(call)
	if err != nil {
		return nil, &model.CallError{Code: "invalid_prompt", Message: err.Error()}
	}
	return body, nil
}

// unopened is a compaction that could be opened when it was accepted, or that there is no key for here.
func unopened(err error) *model.CallError {
	if errors.Is(err, compaction.ErrNoKey) {
		return &model.CallError{Code: "server_error", Message: "This server is not configured to compact histories."}
	}
	return &model.CallError{Code: "invalid_encrypted_content", Message: "The content of a compaction item can no longer be opened."}
}
