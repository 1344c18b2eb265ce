package modelcall

import (
	"context"
	"errors"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/item"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/run/itemid"
	"windlass.dev/windlass/services/internal/compaction"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/compact"
)

// keptShare is the part of a threshold, 1/keptShare, that the messages kept
// word for word may take, so that the history stays below the threshold for a
// while.
const keptShare = 4

// compacts reports whether this turn compacts the history, before the model
// goes on or because the request asks for nothing else. A turn that would be
// the last one goes on instead.
func (p prepared) compacts() bool {
	threshold := p.state.Request.CompactThreshold
	return compact.IsRequested(p.state.Request.Input) ||
		p.chain.Turn < p.state.Limits.MaxTurns && compact.Due(p.sealed, p.opened, threshold)
}

// compactHistory serves a request to compact a history: one model call, whose
// answer is the client's new history.
func (m *Caller) compactHistory(ctx context.Context, p prepared) (run.TurnCommit, error) {
	c := p.chain
	summary, usage, err := m.summarize(ctx, p)
	if err != nil {
		return run.TurnCommit{}, err
	}
	users, content, err := compact.Split(m.Keys, c.Tenant, p.sealed, summary)
	if err != nil {
		return run.TurnCommit{}, compactionFailure(err)
	}
	output := item.StoredInput(c.ID, users)
	sealed, err := m.seal(c, len(output), content)
	if err != nil {
		return run.TurnCommit{}, err
	}
	return run.TurnCommit{
		Output: responses.Compaction{
			ID: run.ResponseID.Format(c.ID), CreatedAt: run.CreatedAt(c.ID),
			Output: append(output, sealed), Usage: usage,
		}.JSON(),
		Outcome: run.Completed, InputTokens: usage.InputTokens, OutputTokens: usage.OutputTokens,
	}, nil
}

// compactTurn is a turn in which the model summarizes the history of a
// response. Another turn follows, in which the model sees the summary and what
// it does not cover, unless the request asks for the compaction alone.
func (m *Caller) compactTurn(ctx context.Context, p prepared) (run.TurnCommit, error) {
	c, place := p.chain, p.state.Base()
	stream := m.openStream(ctx, p, nil)
	defer stream.Close()
	summary, usage, err := m.summarize(ctx, p)
	if err != nil {
		return run.TurnCommit{}, err
	}
	content, err := compact.Replace(m.Keys, c.Tenant, p.sealed, summary, p.state.Request.CompactThreshold/keptShare)
	if err != nil {
		return run.TurnCommit{}, compactionFailure(err)
	}
	sealed, err := m.seal(c, place, content)
	if err != nil {
		return run.TurnCommit{}, err
	}
	stream.WriteEvents(event.Replay(place, sealed))
	stream.Complete(ctx)
	commit := run.TurnCommit{InputTokens: usage.InputTokens, OutputTokens: usage.OutputTokens}
	if compact.IsRequested(p.state.Request.Input) {
		commit.Outcome = run.Completed
	}
	if commit.Output, err = (transcript.Record{Items: []item.Item{sealed}, Usage: usage}).Encode(); err != nil {
		return run.TurnCommit{}, errUnstorable
	}
	return commit, nil
}

// summarize has the model summarize the history, if the summary can be sealed.
func (m *Caller) summarize(ctx context.Context, p prepared) (string, responses.Usage, error) {
	if !m.Keys.Any() {
		return "", responses.Usage{}, compactionFailure(compaction.ErrNoKey)
	}
	body, err := p.encode(compact.Ask(p.opened))
	if err != nil {
		return "", responses.Usage{}, err
	}
	answer, err := m.complete(ctx, p, body, nil)
	if err != nil {
		return "", responses.Usage{}, err
	}
	text, err := compact.Summary(answer)
	return text, answer.Usage, err
}

// seal returns the compaction item at a place of the output.
func (m *Caller) seal(c run.Chain, place int, content compaction.Content) (item.Item, error) {
	sealed, err := m.Keys.Seal(c.Tenant, content)
	if err != nil {
		return item.Item{}, compactionFailure(err)
	}
	return item.Compaction(itemid.Output("compaction", c.ID, c.Turn, place), sealed), nil
}

// compactionFailure is the failure of a turn whose compaction items cannot be
// opened or sealed: the gateway could open them when it accepted the request.
func compactionFailure(err error) *run.Failure {
	if errors.Is(err, compaction.ErrNoKey) {
		return &run.Failure{Code: run.CodeServerError, Message: "This server is not configured to compact histories."}
	}
	return &run.Failure{
		Code: run.CodeInvalidEncrypted, Message: "The content of a compaction item can no longer be opened.",
	}
}
