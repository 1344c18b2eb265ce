// Package turn handles turn commands: it takes the turn, makes the model call,
// commits what the model said, and publishes what follows.
//
// # Promises
//
//   - A turn is committed once, whatever is killed, because the row's attempt
//     is the fence (TestAFirstDeliveryCallsTheModelAndCommits).
//   - Only the first delivery of a command that was published once calls the
//     model under the row's attempt; any other raises the attempt first
//     (TestATakerOfARedeliveredTurnRaisesItFirst).
//   - A worker's death makes suspects of its turns. A suspect runs in a process
//     of its own, and only what it does there counts against it: the fifth
//     crash fails the request and leaves a dead letter
//     (TestInnocentTurnsSurviveTheDeathsOfTheirWorkers,
//     TestATurnThatEndsItsProcessIsQuarantined). A panic counts at once
//     (TestATurnThatPanicsIsQuarantined).
//   - An unknown error fails the request with its cause
//     (TestUnknownErrorFailsTheStep).
//
// The tests are those of loop-orchestrator, which run the assembled handler.
//
// It does not promise that a model is called once: a crash between the answer
// and its commit repeats the call.
package turn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/isolate"
	"windlass.dev/windlass/services/internal/worker"
)

// staleAfter is how old what is known of a row may be when a call is made or
// commanded by it.
const staleAfter = time.Second

// errOfLaterVersion is the outcome of a turn that this version does not
// understand. The sweep publishes it again, until an orchestrator of that
// version gets it.
var errOfLaterVersion = &consume.Handled{Outcome: "left", Reason: "the endpoint is one of a later version"}

// Handler handles turn commands. Safe for concurrent use.
type Handler struct {
	*worker.Worker

	// Call makes the model call of a turn; see modelcall.Caller.Call.
	Call func(context.Context, run.Chain) (run.TurnCommit, error)
	// Isolate handles the command in a process of its own; see
	// isolate.Runner.Run for its errors. nil: there is no such process, and a
	// worker's death counts against each of its turns.
	Isolate func(context.Context, *stepv1.TurnCommand) error
}

// Handle handles one delivery of a turn command.
func (h *Handler) Handle(ctx context.Context, d consume.Delivery) error {
	f, err := dispatch.Fence(d.Turn.GetIdentity())
	if err != nil {
		return errors.Join(consume.ErrPoison, err)
	}
	if d.Delivered > 1 || d.Turn.GetRepeat() {
		return h.takeOver(ctx, f, d.Delivered > 1)
	}
	c, err := h.load(ctx, f)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return consume.ErrStale
	case worker.Unknown(ctx, err):
		return h.failUnknown(ctx, f, err)
	case err != nil:
		return err
	case !f.Holds(c.Row):
		return h.PublishDue(ctx, c.Row)
	case c.DueIn > 0:
		return nil // parked; the sweep publishes it when it is due
	case !c.Endpoint.Known(): // a gateway of a later version accepted it
		return errOfLaterVersion
	}
	if h.Isolate != nil && c.Suspect() {
		return h.isolate(ctx, c.Row, d)
	}
	return h.work(ctx, c, f)
}

// work makes the model call of a turn and commits what follows.
func (h *Handler) work(ctx context.Context, c run.Chain, f run.Fence) error {
	failpoint.HitBy(failpoint.TurnAfterTake, c.Body)
	began := time.Now()
	h.Log.Debug("turn taken", zap.String("request_id", run.Hex(f.ID)), zap.Int("step_seq", f.Turn),
		zap.Int("attempt", f.Attempt))
	commit, err := h.call(ctx, c)
	var crash *isolate.Crash
	switch {
	case errors.As(err, &crash):
		return h.blameTurn(ctx, c.Row, crash)
	case errors.Is(err, consume.ErrDraining):
		return h.handOver(ctx, f, err)
	case err != nil:
		return h.failCall(ctx, c, f, err, time.Since(began))
	}
	commit.Fence, commit.Took = f, time.Since(began)
	failpoint.Hit(failpoint.TurnAfterModel)
	return h.commit(ctx, c.Row, commit)
}

// call makes the model call. A panic is a crash of this turn and of no other.
func (h *Handler) call(ctx context.Context, c run.Chain) (commit run.TurnCommit, err error) {
	defer func() {
		if v := recover(); v != nil {
			h.Log.Error("turn panicked", zap.String("request_id", run.Hex(c.ID)), zap.Stack("stack"))
			err = &isolate.Crash{Status: fmt.Sprintf("panic: %v", v)}
		}
	}()
	return h.Call(ctx, c)
}

// isolate has a suspect's turn done by a process of its own. That process
// commits and publishes; only its crash is recorded here.
func (h *Handler) isolate(ctx context.Context, row run.Row, d consume.Delivery) error {
	err := h.Isolate(ctx, d.Turn)
	var crash *isolate.Crash
	switch {
	case errors.As(err, &crash):
		return h.blameTurn(ctx, row, crash)
	case errors.Is(err, consume.ErrDraining):
		return h.handOver(ctx, row.Fence(), err)
	default:
		return err
	}
}

// load loads the row. If that took long, the row is loaded once more: the
// process may have been stopped meanwhile, and the request cancelled.
func (h *Handler) load(ctx context.Context, f run.Fence) (c run.Chain, err error) {
	for range 2 {
		began := time.Now()
		c, err = worker.Retry(ctx, h.Worker, func(ctx context.Context) (run.Chain, error) {
			return h.Store.Load(ctx, f.ID)
		})
		if err != nil || time.Since(began) < staleAfter {
			break
		}
	}
	return c, err
}

// ConfirmCancel reports whether a request that a cancel hint names has ended. A
// hint is not believed without its row: anyone may publish one.
func (h *Handler) ConfirmCancel(ctx context.Context, d consume.Delivery) bool {
	f, err := dispatch.Fence(d.Turn.GetIdentity())
	if err != nil {
		return false
	}
	row, err := h.Look(ctx, f.ID)
	return errors.Is(err, store.ErrNotFound) || err == nil && row.Status.Terminal()
}
