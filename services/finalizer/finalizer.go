// Package finalizer brings requests to their end: it assembles the answer of those whose outcome is decided and settles them, and
// does the after-work of those that were cancelled or expired.
//
// It promises that an answer is written once and never changes. It does not promise that everybody hears of it at once: the
// notice that a request is done is a hint, which a waiting gateway's poll covers.
package finalizer

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/worker"
)

// Config is that of every worker, and how much one finalizer takes on.
type Config struct {
	worker.Config
	// Slots bounds the requests this process settles at once.
	Slots int `env:"WINDLASS_FINAL_SLOTS, default=64"`
}

// Run settles requests until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	w, err := worker.Open(ctx, "finalizer", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before the infrastructure was there
		}
		return err
	}
	defer w.Close(ctx)
	f := &finalizer{Worker: w, closing: make(chan struct{}, closings)}
	return w.Bus.Run(ctx, bus.RunConfig{Work: bus.FinalWork(), Slots: cfg.Slots, Grace: cfg.Grace, Handle: f.final})
}

type finalizer struct {
	*worker.Worker
	closing chan struct{} // the streams being archived
}

// final handles one final command: settle the request, or do its after-work, or say that it is not due (any more).
func (f *finalizer) final(ctx context.Context, d bus.Delivery) error {
	id, err := dispatch.RequestID(d.Final.GetRequestId())
	if err != nil {
		return errors.Join(bus.ErrPoison, err)
	}
	var c store.Chain
	err = f.RetryOutage(ctx, func(ctx context.Context) (err error) {
		c, err = f.Store.Load(ctx, id)
		if errors.Is(err, store.ErrNotFound) { // cancelled or expired before it was claimed: it has no steps
			c.Row, err = f.Store.Look(ctx, id)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return bus.ErrStale
	case err != nil:
		return err
	case c.Status.Terminal() && c.Live:
		return f.afterWork(ctx, c)
	case c.Next() != store.RunFinal:
		return f.publishDue(ctx, c.Row)
	}
	return f.settle(ctx, c)
}

// publishDue answers a command that came too early or too late.
func (f *finalizer) publishDue(ctx context.Context, row store.Row) error {
	return errors.Join(f.Dispatch(ctx, true, row), bus.ErrStale)
}

func (f *finalizer) settle(ctx context.Context, c store.Chain) error {
	answer, err := assemble(c, time.Now())
	var added []store.NewItem
	if err == nil && c.Conversation != uuid.Nil {
		added, err = additions(c)
	}
	if err != nil { // it will not go better next time: the request ends, and says so
		f.Log.Error("answer not assembled, request failed", zap.String("request_id", dispatch.BusID(c.ID)), zap.Error(err))
		c.Outcome, c.Reason = store.Failed, "server_error"
		answer = unreadable(c)
	}
	failpoint.Hit(failpoint.FinalBeforeCommit)
	c, err = f.record(ctx, c, store.Settlement{
		ID: c.ID, Epoch: c.Epoch, Status: c.Outcome, Reason: c.Reason, Answer: answer, AfterWork: c.Streamed, Items: added,
	})
	if err != nil {
		// Stale may also be our own commit whose answer was lost: whoever waits is told all the same.
		f.Bus.DoneHint(dispatch.BusID(c.ID))
		if errors.Is(err, store.ErrStale) {
			return bus.ErrStale
		}
		return err
	}
	failpoint.Hit(failpoint.FinalAfterCommit)
	f.tell(c.Row, c.Outcome)
	if c.Streamed {
		c.Status = c.Outcome
		if err := f.endLive(ctx, c); err != nil {
			return err
		}
	}
	f.Metrics.Step("final", string(c.Outcome), time.Since(c.CreatedAt))
	f.note(c)
	failpoint.Hit(failpoint.FinalAfterPublish)
	return nil
}

// record commits a settlement, or that the request failed if its answer cannot be recorded. It returns the chain with the outcome.
func (f *finalizer) record(ctx context.Context, c store.Chain, end store.Settlement) (store.Chain, error) {
	settle := func(ctx context.Context) error { return f.Store.Settle(ctx, end) }
	err := f.RetryOutage(ctx, settle)
	if !worker.Unknown(ctx, err) {
		return c, err
	}
	f.Log.Error("answer not recorded, request failed", zap.String("request_id", dispatch.BusID(c.ID)), zap.Error(err))
	c.Outcome, c.Reason = store.Failed, "server_error"
	end.Status, end.Reason, end.Answer, end.Items = c.Outcome, c.Reason, unreadable(c), nil
	if err = f.RetryOutage(ctx, settle); worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
	}
	return c, err
}

// afterWork clears what a cancelled or expired request left on the bus, ends a live stream, and takes the row off the sweep.
func (f *finalizer) afterWork(ctx context.Context, c store.Chain) error {
	id := dispatch.BusID(c.ID)
	if c.Status == store.Cancelled || c.Status == store.Expired {
		f.Bus.CancelHint(id)
		if err := f.RetryOutage(ctx, func(ctx context.Context) error { return f.Bus.Purge(ctx, id) }); err != nil {
			return err
		}
	}
	f.tell(c.Row, c.Status)
	end := func(ctx context.Context) error { return f.Store.Finish(ctx, c.ID) }
	if c.Streamed {
		end = func(ctx context.Context) error { return f.endLive(ctx, c) }
	}
	if err := f.RetryOutage(ctx, end); err != nil {
		return err
	}
	f.Log.Info("after-work done", zap.String("request_id", id), zap.String("outcome", string(c.Status)))
	return nil
}

// tell announces the end in the step stream and to the gateways. Losing either costs a poll interval.
func (f *finalizer) tell(row store.Row, status store.Status) {
	id := dispatch.BusID(row.ID)
	f.Bus.DoneHint(id)
	f.Bus.Announce(bus.Event(&stepv1.StepEvent{
		Identity:  &stepv1.StepIdentity{RequestId: id, Epoch: uint32(row.Epoch), Turn: uint32(row.Turn), Attempt: uint32(row.Attempt)},
		Tenant:    row.Tenant,
		Name:      row.Model,
		EventTime: timestamppb.Now(),
		Event:     &stepv1.StepEvent_RequestSettled{RequestSettled: &stepv1.RequestSettled{Status: string(status)}},
	}).WithTrace(row.Trace))
}
