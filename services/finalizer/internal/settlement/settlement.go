// Package settlement handles final commands: it settles a request, or does the
// after-work of a request that has ended already.
//
// Commands may be repeated at any point. A request that is not due any more is
// answered with what is due. An answer that cannot be built or stored makes the
// request fail, so that no request is tried forever.
package settlement

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"google.golang.org/protobuf/types/known/timestamppb"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/bus/message"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/finalizer/internal/answer"
	"windlass.dev/windlass/services/finalizer/internal/archive"
	"windlass.dev/windlass/services/internal/worker"
)

// Handler handles final commands. It is safe for concurrent use.
type Handler struct {
	*worker.Worker
	archive *archive.Archive
}

// NewHandler returns a handler.
func NewHandler(w *worker.Worker) *Handler { return &Handler{Worker: w, archive: archive.New(w)} }

// Handle handles one final command.
func (h *Handler) Handle(ctx context.Context, d consume.Delivery) error {
	id, err := run.ParseHex(d.Final.GetRequestId())
	if err != nil {
		return errors.Join(consume.ErrPoison, err)
	}
	c, err := h.load(ctx, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return consume.ErrStale
	case err != nil:
		return err
	case c.Status.Terminal() && c.Live:
		return h.doAfterWork(ctx, c)
	case !c.Endpoint.Known(): // a gateway of a later version accepted it; the sweep publishes the command again
		return &consume.Handled{Outcome: "left", Reason: "the endpoint is one of a later version"}
	case c.Next() != run.RunFinal: // the command came too early or too late
		return errors.Join(h.Dispatch(ctx, true, c.Row), consume.ErrStale)
	}
	return h.settle(ctx, c)
}

func (h *Handler) load(ctx context.Context, id uuid.UUID) (run.Chain, error) {
	return worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Chain, error) {
		c, err := h.Store.Load(ctx, id)
		if errors.Is(err, store.ErrNotFound) { // cancelled or expired before it was claimed: it has no steps
			c.Row, err = h.Store.Look(ctx, id)
		}
		return c, err
	})
}

func (h *Handler) settle(ctx context.Context, c run.Chain) error {
	object, err := answer.Assemble(c, answer.DecidedAt(c))
	var items []run.NewItem
	if err == nil && c.Conversation != uuid.Nil {
		items, err = answer.Additions(c)
	}
	if err != nil { // the next attempt would fail alike
		h.Log.Error("answer not assembled, request failed", zap.String("request_id", run.Hex(c.ID)), zap.Error(err))
		c.Outcome, c.Reason = run.Failed, run.CodeServerError
		object = answer.Unreadable(c)
	}
	failpoint.Hit(failpoint.FinalBeforeCommit)
	c, err = h.commit(ctx, c, store.Settlement{
		ID: c.ID, Epoch: c.Epoch, Status: c.Outcome, Reason: c.Reason, Answer: object,
		AfterWork: c.Streamed, Items: items,
	})
	if err != nil {
		// ErrStale may follow a commit of ours whose reply was lost, so that
		// waiting clients are notified either way.
		h.Bus.DoneHint(run.Hex(c.ID))
		if errors.Is(err, store.ErrStale) {
			return consume.ErrStale
		}
		return err
	}
	failpoint.Hit(failpoint.FinalAfterCommit)
	h.announce(c.Row, c.Outcome)
	if c.Streamed {
		c.Status = c.Outcome
		if err := h.archive.Close(ctx, c); err != nil {
			return err
		}
	}
	h.Metrics.Step("final", string(c.Outcome), answer.DecidedAt(c).Sub(run.CreatedAt(c.ID)))
	h.logSettled(c)
	failpoint.Hit(failpoint.FinalAfterPublish)
	return nil
}

// commit commits a settlement; if its answer cannot be stored, it commits that
// the request failed. It returns the chain with the outcome.
func (h *Handler) commit(ctx context.Context, c run.Chain, end store.Settlement) (run.Chain, error) {
	settle := func(ctx context.Context) error { return h.Store.Settle(ctx, end) }
	err := h.RetryOutage(ctx, settle)
	if !worker.Unknown(ctx, err) {
		return c, err
	}
	h.Log.Error("answer not recorded, request failed", zap.String("request_id", run.Hex(c.ID)), zap.Error(err))
	c.Outcome, c.Reason = run.Failed, run.CodeServerError
	end.Status, end.Reason, end.Answer, end.Items = c.Outcome, c.Reason, answer.Unreadable(c), nil
	if err = h.RetryOutage(ctx, settle); worker.Unknown(ctx, err) {
		worker.PauseUnknown(ctx)
	}
	return c, err
}

// doAfterWork deletes what a cancelled or expired request left on the bus,
// closes its live stream, and takes its row off the sweep.
func (h *Handler) doAfterWork(ctx context.Context, c run.Chain) error {
	id := run.Hex(c.ID)
	if c.Status == run.Cancelled || c.Status == run.Expired {
		h.Bus.CancelHint(id)
		if err := h.RetryOutage(ctx, func(ctx context.Context) error { return h.Bus.Purge(ctx, id) }); err != nil {
			return err
		}
	}
	h.announce(c.Row, c.Status)
	finish := func(ctx context.Context) error { return h.Store.Finish(ctx, c.ID) }
	if c.Streamed {
		finish = func(ctx context.Context) error { return h.archive.Close(ctx, c) }
	}
	if err := h.RetryOutage(ctx, finish); err != nil {
		return err
	}
	h.Log.Info("after-work done", zap.String("request_id", id), zap.String("outcome", string(c.Status)))
	return nil
}

// announce publishes the end in the step stream and to the gateways. Losing
// either costs a poll interval.
func (h *Handler) announce(row run.Row, status run.Status) {
	id := run.Hex(row.ID)
	h.Bus.DoneHint(id)
	h.Bus.Announce(message.Event(&stepv1.StepEvent{
		Identity: &stepv1.StepIdentity{
			RequestId: id, Epoch: uint32(row.Epoch), Turn: uint32(row.Turn), Attempt: uint32(row.Attempt),
		},
		Tenant:    row.Tenant,
		Name:      row.Model,
		EventTime: timestamppb.Now(),
		Event:     &stepv1.StepEvent_RequestSettled{RequestSettled: &stepv1.RequestSettled{Status: string(status)}},
	}).WithTrace(row.Trace))
}
