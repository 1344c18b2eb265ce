package looporchestrator

import (
	"context"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/relay"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/livestream"
	"windlass.dev/windlass/services/loop-orchestrator/internal/model"
	"windlass.dev/windlass/services/loop-orchestrator/internal/onecall"
)

// oneCall is think for a request that is one model call: there is no history and nothing to plan.
func (o *orchestrator) oneCall(ctx context.Context, c store.Chain, e relay.Endpoint) (store.TurnCommit, error) {
	served, err := o.served(c)
	if err != nil {
		return store.TurnCommit{}, err
	}
	call := onecall.Call{Upstream: o.upstream, Model: served, Endpoint: e, Chain: c}
	if c.Streamed {
		return o.relay(ctx, call)
	}
	ctx, cancel := inTime(ctx, c, served)
	defer cancel()
	return call.Do(ctx)
}

// relay makes a call whose chunks go to the live stream as they come. Chunks have no order of their own: an attempt cannot go on with
// what another began. When one has sent something the call has failed.
func (o *orchestrator) relay(ctx context.Context, call onecall.Call) (store.TurnCommit, error) {
	c := call.Chain
	begun, err := o.begun(ctx, c)
	if err != nil {
		return store.TurnCommit{}, err
	}
	if begun {
		return store.TurnCommit{}, &model.CallError{Code: "connection_error", Message: "The stream broke off. Please send the request again."}
	}
	f := store.Fence{ID: c.ID, Epoch: c.Epoch, Turn: c.Turn, Attempt: c.Attempt}
	w := o.Bus.OpenLive(ctx, stepIdentity(f))
	defer w.Close() // before the commit: what was said is stored by then
	frame := livestream.Snapshot
	callCtx, cancel := inTime(ctx, c, call.Model) // storing what was heard may take longer than the call
	defer cancel()
	commit, err := call.Stream(callCtx, func(chunk []byte) {
		w.Write(frame(event.Event{Data: chunk}))
		frame = func(e event.Event) *stepv1.LiveFrame { return livestream.Frame(e, "") }
	})
	if err != nil {
		return commit, err
	}
	w.Write(livestream.Mark(stepv1.LiveKind_LIVE_KIND_COMPLETE))
	flush, flushed := context.WithTimeout(ctx, flushTime)
	defer flushed()
	if err := w.Flush(flush); err != nil {
		o.Log.Warn("chunks not stored, their stream ends with an error", zap.String("request_id", dispatch.BusID(c.ID)), zap.Error(err))
	}
	return commit, nil
}

// begun tells whether an earlier attempt has sent something.
func (o *orchestrator) begun(ctx context.Context, c store.Chain) (bool, error) {
	if c.Attempt == 1 {
		return false, nil
	}
	var last uint64
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		last, err = o.Bus.Stored(ctx, dispatch.BusID(c.ID), func(*stepv1.LiveFrames) error { return nil })
		return err
	})
	return last > 0, err
}
