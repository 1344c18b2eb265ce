package sweep

import (
	"context"
	"errors"
	"math"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
)

const (
	// stuckTurn is how long after its model's timeout a turn counts as stuck: a
	// lane's queue is short, and a worker that had the turn would have
	// answered.
	stuckTurn = 2 * time.Minute
	// stuckTool is the same for tool calls, whose pool can have a long queue.
	stuckTool = 15 * time.Minute
)

// replaceStuck deletes the commands of rows that have not moved for longer than
// any worker may take, and raises the rows' attempts. A work queue that keeps
// such a message without delivering it would refuse every repeat. It returns
// the other rows; the next sweep publishes those that it raised.
func (s *Sweep) replaceStuck(ctx context.Context, rows []run.Row) []run.Row {
	moving := make([]run.Row, 0, len(rows))
	for _, r := range rows {
		if r.Age <= s.stuckAfter(r) {
			moving = append(moving, r)
			continue
		}
		id := run.Hex(r.ID)
		s.Log.Warn("stuck commands of a request are replaced", zap.String("request_id", id),
			zap.Int("step_seq", r.Turn), zap.Int("attempt", r.Attempt), zap.Duration("took", r.Age))
		err := s.Bus.Purge(ctx, id)
		if err == nil {
			err = s.raiseAttempt(ctx, r)
		}
		if err != nil && !errors.Is(err, store.ErrStale) && ctx.Err() == nil {
			s.LogFailure("commands not replaced", err, zap.String("request_id", id))
		}
	}
	return moving
}

// raiseAttempt leaves the row due at its next attempt.
func (s *Sweep) raiseAttempt(ctx context.Context, r run.Row) error {
	if r.Next() == run.RunTools {
		return s.Store.RaiseTools(ctx, r)
	}
	_, err := s.Store.Raise(ctx, run.Fence{ID: r.ID, Epoch: r.Epoch, Turn: r.Turn, Attempt: r.Attempt}, run.NoBlame, 0)
	return err
}

// stuckAfter returns how long the row may stand still.
func (s *Sweep) stuckAfter(r run.Row) time.Duration {
	switch r.Next() {
	case run.RunTurn:
		if m, ok := s.Registry.Model(r.Model); ok {
			return m.Timeout + stuckTurn
		}
		return stuckTurn
	case run.RunTools:
		var longest time.Duration
		for _, step := range r.Steps {
			if t, ok := s.Registry.Tool(step.Name); ok {
				longest = max(longest, t.Timeout)
			}
		}
		return longest + stuckTool
	case run.Nothing, run.RunFinal, run.WaitUntil: // a repeat is all that these need
	}
	return math.MaxInt64
}
