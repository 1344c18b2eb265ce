// Package results commits what tools answered, in groups, and publishes what
// the requests need whose last call ended.
//
// It promises that a result is committed only to the call that it belongs to,
// by its dispatch token, call id and input hash
// (TestAnswersFollowTheRowAndTheResults in loop-orchestrator), and that a
// result that the store refuses becomes a failed call without failing the
// others of its group (TestUnknownErrorFailsOneResult).
package results

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/bus/consume"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/worker"
	"windlass.dev/windlass/services/loop-orchestrator/internal/live"
)

// errCommitted is the outcome of a result in the bus's metrics. It is not
// "done", because the call may have failed.
var errCommitted = &consume.Handled{Outcome: "committed"}

// Committer commits tool results. Safe for concurrent use.
type Committer struct {
	*worker.Worker

	Live live.Streams
}

// Handle commits a batch of deliveries. The batch has one outcome, except that
// an unknown error is found out for each result.
func (c *Committer) Handle(ctx context.Context, batch []consume.Delivery) []error {
	err := c.Commit(ctx, batch)
	if worker.Unknown(ctx, err) {
		return c.commitEach(ctx, batch)
	}
	if err == nil {
		err = errCommitted
	}
	errs := make([]error, len(batch))
	for i := range errs {
		errs[i] = err
	}
	return errs
}

// Commit turns the batch's steps in one statement and publishes what the
// requests need whose last step it turned.
func (c *Committer) Commit(ctx context.Context, batch []consume.Delivery) error {
	all := make([]store.ToolResult, 0, len(batch))
	unsure := make(map[uuid.UUID]bool) // requests whose results may be committed, but their messages not published
	for _, d := range batch {
		r, ok := c.read(d.Event)
		if !ok {
			continue // the sweep asks the runner again
		}
		all = append(all, r)
		if d.Delivered > 1 {
			unsure[r.ID] = true
		}
	}
	if len(all) == 0 {
		return nil
	}
	tries := 0
	turned, err := worker.Retry(ctx, c.Worker, func(ctx context.Context) ([]store.Progress, error) {
		tries++
		return c.Store.CommitResults(ctx, all)
	})
	if err != nil {
		return err
	}
	if tries > 1 { // an earlier try may be committed with its answer lost; this one turned nothing then
		for _, r := range all {
			unsure[r.ID] = true
		}
	}
	failpoint.Hit(failpoint.ResultsAfterCommit)
	c.Live.AnnounceCalls(turned)
	var rows []run.Row
	for _, p := range turned {
		if p.TurnDone() {
			rows = append(rows, p.Row)
			delete(unsure, p.ID)
		}
	}
	if err := c.Dispatch(ctx, false, rows...); err != nil {
		return err
	}
	failpoint.Hit(failpoint.ResultsAfterPublish)
	return c.catchUpAll(ctx, unsure)
}

// catchUpAll publishes what requests need whose results were delivered or
// committed before: the worker that committed them may have died before it
// published.
func (c *Committer) catchUpAll(ctx context.Context, requests map[uuid.UUID]bool) error {
	for id := range requests {
		if err := c.CatchUp(ctx, id); err != nil && !errors.Is(err, consume.ErrStale) {
			return err
		}
	}
	return nil
}
