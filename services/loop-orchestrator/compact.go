package looporchestrator

import (
	"context"
	"errors"

	"windlass.dev/windlass/pkg/registry"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/itemid"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/compact"
	"windlass.dev/windlass/services/loop-orchestrator/internal/dialect"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
)

// compact is think for a request to make a history shorter: one model call, whose answer is the client's new history.
func (o *orchestrator) compact(ctx context.Context, c store.Chain) (store.TurnCommit, error) {
	var none store.TurnCommit
	request, served, err := o.asked(c)
	if err != nil {
		return none, err
	}
	earlier, _, err := o.history(ctx, c)
	if err != nil {
		return none, err
	}
	call := model.Call{
		Model: served.Upstream.Model, Request: request, Ancestors: earlier,
		Origin: served.Upstream.Origin(), Settings: served.Upstream.Effective(),
	}
	opened, err := o.open(c.Tenant, call)
	if err != nil {
		return none, err
	}
	summary, usage, err := o.summary(ctx, c, served, opened)
	if err != nil {
		return none, err
	}
	users, content, err := compact.Given(o.keys, c.Tenant, call, summary)
	if err != nil {
		return none, unopened(err)
	}
	output := itemid.Stored(c.ID, users)
	it, err := o.seal(c, len(output), content)
	if err != nil {
		return none, err
	}
	return store.TurnCommit{
		Output: responses.Compaction{
			ID: "resp_" + dispatch.BusID(c.ID), CreatedAt: dispatch.CreatedAt(c.ID), Output: append(output, it), Usage: usage,
		}.JSON(),
		Outcome: store.Completed, InputTokens: usage.InputTokens, OutputTokens: usage.OutputTokens,
	}, nil
}

// turnCall is the model call of a turn, as it was before compactions were opened and after.
type turnCall struct {
	chain        store.Chain
	served       registry.Model
	state        plan.State
	call, opened model.Call
}

// shortens tells whether the history is to be compacted before the model goes on, or instead. A turn that would be the last one is not
// spent on it.
func (t turnCall) shortens() bool {
	return compact.Asked(t.state.Request.Input) ||
		t.chain.Turn < t.state.Limits.MaxTurns && compact.Due(t.call, t.opened, t.state.Request.CompactThreshold)
}

// shorten is a turn in which the model sums up what a response has become so far. Another turn follows, in which it sees the summary and
// what that does not cover; unless the request asked for nothing else.
func (o *orchestrator) shorten(ctx context.Context, t turnCall) (store.TurnCommit, error) {
	var none store.TurnCommit
	c, place := t.chain, t.state.Base()
	told := o.tell(ctx, c, t.state, &plan.Draft{})
	defer told.close()
	summary, usage, err := o.summary(ctx, c, t.served, t.opened)
	if err != nil {
		return none, err
	}
	content, err := compact.Whole(o.keys, c.Tenant, t.call, summary, t.state.Request.CompactThreshold/keptShare)
	if err != nil {
		return none, unopened(err)
	}
	it, err := o.seal(c, place, content)
	if err != nil {
		return none, err
	}
	told.end(ctx, event.Replay(place, it))
	commit := store.TurnCommit{InputTokens: usage.InputTokens, OutputTokens: usage.OutputTokens}
	if compact.Asked(t.state.Request.Input) {
		commit.Outcome = store.Completed
	}
	if commit.Output, err = (transcript.Record{Items: []item.Item{it}, Usage: usage}).Encode(); err != nil {
		return none, &model.CallError{Code: "server_error", Message: "The model's answer cannot be stored."}
	}
	return commit, nil
}

// keptShare is the part of a threshold that what is kept word for word may have: the history is to stay below it for a while.
const keptShare = 4

// summary asks the model for it, if it could be sealed.
func (o *orchestrator) summary(ctx context.Context, c store.Chain, served registry.Model, opened model.Call) (string, responses.Usage, error) {
	if !o.keys.Any() {
		return "", responses.Usage{}, unopened(compaction.ErrNoKey)
	}
	api := dialect.Named(served.Upstream.Dialect)
	body, err := encode(api, compact.Ask(opened))
	if err != nil {
		return "", responses.Usage{}, err
	}
	ctx, cancel := inTime(ctx, c, served)
	defer cancel()
	answer, err := o.upstream.Complete(ctx, served.Upstream, api, body, headersOf(c), nil)
	if err != nil {
		return "", responses.Usage{}, err
	}
	text, err := compact.Summary(answer)
	return text, answer.Usage, err
}

// seal is the item at a place of the output.
func (o *orchestrator) seal(c store.Chain, place int, content compaction.Content) (item.Item, error) {
	sealed, err := o.keys.Seal(c.Tenant, content)
	if err != nil {
		return item.Item{}, unopened(err)
	}
	return item.Compaction(itemid.Output("cmp", c.ID, c.Turn, place), sealed), nil
}

// open is a call with what its compaction items hold.
func (o *orchestrator) open(tenant string, call model.Call) (model.Call, error) {
	opened, err := compact.Open(o.keys, tenant, call)
	if err != nil {
		return call, unopened(err)
	}
	return opened, nil
}

func encode(api model.Dialect, opened model.Call) ([]byte, error) {
	body, err := api.Encode(opened)
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
