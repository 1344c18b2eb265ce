package modelcall

import (
	"context"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/loop-orchestrator/internal/live"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/plan"
)

// respond has the model go on with a response.
func (m *Caller) respond(ctx context.Context, p prepared) (run.TurnCommit, error) {
	body, err := p.encode(p.opened)
	if err != nil {
		return run.TurnCommit{}, err
	}
	draft := plan.Begin(p.state)
	stream := m.openStream(ctx, p, draft.Before())
	defer stream.Close()
	var listen model.Listen
	if stream != nil {
		listen = func(d model.Delta) { stream.WriteEvents(draft.AddDelta(d)) }
	}
	answer, err := m.complete(ctx, p, body, listen)
	if err != nil {
		return run.TurnCommit{}, err
	}
	record, commit, rest := draft.End(answer)
	stream.WriteEvents(rest)
	stream.Complete(ctx)
	if commit.Output, err = record.Encode(); err != nil {
		return run.TurnCommit{}, errUnstorable
	}
	return commit, nil
}

// openStream opens the turn's live stream and writes what precedes the model's
// answer: the results of the calls before it, a snapshot of the response if
// readers may have seen an earlier attempt, and the events given.
func (m *Caller) openStream(ctx context.Context, p prepared, before []event.Event) *live.Writer {
	c := p.chain
	stream := m.Live.Open(ctx, c)
	if stream == nil {
		return nil
	}
	stream.Write(livestream.Keyed(transcript.Ran(p.state.Turns))...)
	if c.Turn == 1 || c.Attempt > 1 {
		stream.Write(livestream.Snapshot(event.Response("response.in_progress", responses.Response{
			ID: run.ResponseID.Format(c.ID), Request: p.state.Request, Status: run.InProgress,
			CreatedAt: run.CreatedAt(c.ID), Output: transcript.Output(p.state.Turns),
		}.JSON())))
	}
	stream.WriteEvents(before)
	return stream
}
