package modelcall

import (
	"context"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/run"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/loop-orchestrator/internal/onecall"
)

// relay serves a request that is one model call: it has no history and nothing
// to plan.
func (m *Caller) relay(ctx context.Context, c run.Chain) (run.TurnCommit, error) {
	served, err := m.findModel(c)
	if err != nil {
		return run.TurnCommit{}, err
	}
	call := onecall.Call{
		Upstream: m.Upstream, Headers: headers(c), Model: served, Endpoint: c.Endpoint, Name: c.Model, Body: c.Body,
	}
	if c.Streamed {
		return m.relayStream(ctx, c, call)
	}
	ctx, cancel := withDeadlines(ctx, c, served)
	defer cancel()
	return call.Do(ctx)
}

// relayStream makes a call whose chunks go to the live stream as they come.
// Chunks have no order of their own, so an attempt cannot go on with what
// another began: if an earlier attempt has sent a chunk, the call has failed.
func (m *Caller) relayStream(ctx context.Context, c run.Chain, call onecall.Call) (run.TurnCommit, error) {
	started, err := m.Live.Started(ctx, c)
	if err != nil {
		return run.TurnCommit{}, err
	}
	if started {
		return run.TurnCommit{}, &run.Failure{
			Code: run.CodeConnection, Message: "The stream broke off. Please send the request again.",
		}
	}
	stream := m.Live.Open(ctx, c)
	defer stream.Close()
	frame := livestream.Snapshot                         // for the first chunk
	callCtx, cancel := withDeadlines(ctx, c, call.Model) // storing the chunks may take longer than the call
	defer cancel()
	commit, err := call.Stream(callCtx, func(chunk []byte) {
		stream.Write(frame(event.Event{Data: chunk}))
		frame = func(e event.Event) *stepv1.LiveFrame { return livestream.Frame(e, "") }
	})
	if err == nil {
		stream.Complete(ctx)
	}
	return commit, err
}
