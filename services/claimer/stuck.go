package claimer

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	// stuckTurn is how long after its model's timeout a turn's command counts as one that the bus no longer delivers: whoever had
	// taken it would have answered, and a lane's queue is short.
	stuckTurn = 2 * time.Minute
	// stuckTool is the same for tool calls, whose pool may have a long queue.
	stuckTool = 15 * time.Minute
)

// freeStuck deletes the commands of rows that have not moved for longer than any worker may take, and gives them new attempts. A
// message that a work queue keeps but never delivers would refuse every republish otherwise. It returns the other rows; those
// it raised are due again in a moment.
func (c *claimer) freeStuck(ctx context.Context, rows []store.Row) []store.Row {
	moving := make([]store.Row, 0, len(rows))
	for _, r := range rows {
		if r.Age <= c.patience(r) {
			moving = append(moving, r)
			continue
		}
		id := dispatch.BusID(r.ID)
		c.Log.Warn("commands of a request that does not move are replaced", zap.String("request_id", id),
			zap.Int("step_seq", r.Turn), zap.Int("attempt", r.Attempt), zap.Duration("took", r.Age))
		err := c.Bus.Purge(ctx, id)
		if err == nil {
			err = c.raise(ctx, r)
		}
		if err != nil && !errors.Is(err, store.ErrStale) && ctx.Err() == nil {
			c.LogFailure("commands not replaced", err, zap.String("request_id", id))
		}
	}
	return moving
}

// raise leaves the row due at its next attempt; the sweep that follows publishes it.
func (c *claimer) raise(ctx context.Context, r store.Row) error {
	if r.Next() == store.RunTools {
		return c.Store.RaiseTools(ctx, r)
	}
	_, err := c.Store.Raise(ctx, store.Fence{ID: r.ID, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt}, false)
	return err
}

// patience is how long the row may stand still.
func (c *claimer) patience(r store.Row) time.Duration {
	switch r.Next() {
	case store.RunTurn:
		if m, ok := c.Registry.Model(r.Model); ok {
			return m.Timeout + stuckTurn
		}
		return stuckTurn
	case store.RunTools:
		var longest time.Duration
		for _, s := range r.Steps {
			if t, ok := c.Registry.Tool(s.Name); ok {
				longest = max(longest, t.Timeout)
			}
		}
		return longest + stuckTool
	case store.Nothing, store.RunFinal, store.WaitUntil: // parked, or the finalizer's: a repeat is all they need
	}
	return time.Duration(1<<63 - 1)
}
