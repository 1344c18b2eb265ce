package looporchestrator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/store"
	stepv1 "windlass.dev/windlass/proto/gen/windlass/step/v1"
	"windlass.dev/windlass/services/internal/dispatch"
	"windlass.dev/windlass/services/internal/transcript"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	// poisonCrashes is how many takers of one turn may die of it.
	poisonCrashes = 5
	// handOverTime bounds giving a turn to another orchestrator at the end of the grace.
	handOverTime = 3 * time.Second
)

// turn handles one turn command: load, call, commit, publish. Only the first delivery of a command that was published once
// calls the model under the row's attempt as it is; every other raises it first.
func (o *orchestrator) turn(ctx context.Context, d bus.Delivery) error {
	f, err := fence(d.Turn.GetIdentity())
	if err != nil {
		return errors.Join(bus.ErrPoison, err)
	}
	if d.Delivered > 1 || d.Turn.GetRepeat() {
		return o.raise(ctx, f, d.Delivered > 1)
	}
	var c store.Chain
	err = o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		c, err = o.Store.Load(ctx, f.ID)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return bus.ErrStale
	case worker.Unknown(ctx, err):
		return o.failUnknown(ctx, f, err)
	case err != nil:
		return err
	case !f.Holds(c.Row):
		return o.publishDue(ctx, c.Row)
	case c.DueIn > 0:
		return nil // parked; the sweep publishes it when it is due
	}
	failpoint.Hit(failpoint.TurnAfterTake)
	began := time.Now()
	o.Log.Debug("turn taken", zap.String("request_id", dispatch.BusID(f.ID)), zap.Int("step_seq", f.Turn), zap.Int("attempt", f.Attempt))
	commit, err := o.think(ctx, c)
	if errors.Is(err, bus.ErrDraining) {
		return o.handOver(ctx, f, err)
	}
	if err != nil {
		return o.failedCall(ctx, c, f, err, time.Since(began))
	}
	commit.Fence, commit.Took = f, time.Since(began)
	failpoint.Hit(failpoint.TurnAfterModel)
	return o.commit(ctx, c.Row, commit)
}

// commit writes the turn and publishes what follows. A turn that cannot be written fails the request.
func (o *orchestrator) commit(ctx context.Context, before store.Row, t store.TurnCommit) error {
	err := o.commitOnce(ctx, before, t)
	if worker.Unknown(ctx, err) {
		return o.failUnknown(ctx, t.Fence, err)
	}
	return err
}

func (o *orchestrator) commitOnce(ctx context.Context, before store.Row, t store.TurnCommit) error {
	var row store.Row
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		row, err = o.Store.CommitTurn(ctx, before, t)
		return err
	})
	if errors.Is(err, store.ErrStale) {
		return o.catchUp(ctx, t.Fence)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.TurnAfterCommit)
	o.Metrics.Step("model", outcome(t), t.Took)
	o.noteRefusedTools(t)
	o.Bus.Announce(turnEvent(before, t))
	if err := o.Dispatch(ctx, false, row); err != nil {
		return err
	}
	failpoint.Hit(failpoint.TurnAfterPublish)
	return nil
}

// raise takes a turn over from whoever had it: the old attempt can commit nothing any more, and the command of the new one
// comes back as a first delivery, so that the message in flight always carries the row's attempt.
func (o *orchestrator) raise(ctx context.Context, f store.Fence, crashed bool) error {
	var row store.Row
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		row, err = o.Store.Raise(ctx, f, crashed)
		return err
	})
	if errors.Is(err, store.ErrStale) {
		return o.catchUp(ctx, f)
	}
	if err != nil {
		return err
	}
	failpoint.Hit(failpoint.RaiseAfterCommit)
	if row.Crashes >= poisonCrashes {
		return o.quarantine(ctx, row)
	}
	return o.Dispatch(ctx, false, row)
}

// quarantine fails a request whose turn killed every worker that took it.
func (o *orchestrator) quarantine(ctx context.Context, row store.Row) error {
	why := transcript.Failure{
		Code: "poison", Attempt: row.Attempt,
		Message: fmt.Sprintf("The step was given up after %d workers ended while they held it.", row.Crashes),
	}
	o.Log.Error("request quarantined", zap.String("request_id", dispatch.BusID(row.ID)), zap.Int("attempt", row.Attempt))
	f := store.Fence{ID: row.ID, Epoch: row.Epoch, Turn: row.Turn, Attempt: row.Attempt}
	letter := bus.Dead(&stepv1.DeadLetter{
		Identity: stepIdentity(f), Tenant: row.Tenant, Failure: &stepv1.Failure{Code: why.Code, Message: why.Message},
	})
	if _, err := o.Bus.Publish(ctx, letter); err != nil {
		return fmt.Errorf("leave a dead letter: %w", err)
	}
	return o.commit(ctx, row, failedTurn(f, why))
}

// catchUp answers a command whose row has moved on: publish what it needs now, for the one who moved it may have died before.
func (o *orchestrator) catchUp(ctx context.Context, f store.Fence) error {
	var row store.Row
	err := o.RetryOutage(ctx, func(ctx context.Context) (err error) {
		row, err = o.Store.Look(ctx, f.ID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return bus.ErrStale
	}
	if err != nil {
		return err
	}
	return o.publishDue(ctx, row)
}

func (o *orchestrator) publishDue(ctx context.Context, row store.Row) error {
	if err := o.Dispatch(ctx, true, row); err != nil {
		return err
	}
	return bus.ErrStale
}

// handOver gives the turn up at the end of the grace so that another orchestrator starts it anew at once, without counting a
// crash. When even that fails, the message is handed back as it is.
func (o *orchestrator) handOver(ctx context.Context, f store.Fence, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	if err := o.raise(ctx, f, false); err != nil && !errors.Is(err, bus.ErrStale) {
		return errors.Join(cause, err)
	}
	return nil
}

func fence(id *stepv1.StepIdentity) (store.Fence, error) {
	request, err := dispatch.RequestID(id.GetRequestId())
	return store.Fence{
		ID: request, Epoch: int(id.GetEpoch()), Turn: int(id.GetTurn()), Attempt: int(id.GetAttempt()),
	}, err
}

func stepIdentity(f store.Fence) *stepv1.StepIdentity {
	return &stepv1.StepIdentity{
		RequestId: dispatch.BusID(f.ID), Epoch: uint32(f.Epoch), Turn: uint32(f.Turn), Attempt: uint32(f.Attempt),
	}
}
