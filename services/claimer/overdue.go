package claimer

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/store"
)

// alarmPause is how long one finding of missing messages speaks for the next.
const alarmPause = 10 * time.Second

const (
	// fullPause is the time between two tries to publish into a full stream.
	fullPause = time.Second
	// fullMemory is how long commands that a full stream refused may turn up as
	// commands that were never published.
	fullMemory = time.Minute
)

// publishOverdue publishes what overdue rows need, marked as a repeat wherever it may have been published before: all but a
// parked turn at its first time.
//
// A queue that accepts the repeat of a turn or a final that was published seconds ago has lost the first one: those are acknowledged
// only when the row has moved. Where one is gone others are: a purge shows in nothing else, neither in a stream's age nor in its
// sequence. So every live row is made due then. Tool calls prove nothing: a runner acknowledges them before their result is
// committed, and results that wait under load must not bring all of them back.
func (c *claimer) publishOverdue(ctx context.Context, rows []store.Row) error {
	var parked, tools, waiting []store.Row
	for _, r := range rows {
		switch {
		case r.Next() == store.RunTurn && r.Unpublished:
			parked = append(parked, r)
		case r.Next() == store.RunTools:
			tools = append(tools, r)
		default:
			waiting = append(waiting, r)
		}
	}
	_, errParked := c.Publish.Publish(ctx, false, parked...)
	_, errTools := c.Publish.Publish(ctx, true, tools...)
	accepted, errWaiting := c.Publish.Publish(ctx, true, waiting...)
	err := errors.Join(errParked, errTools, errWaiting)
	if errors.Is(err, bus.ErrFull) {
		c.full = time.Now()
	}
	// What a full stream refused was not lost.
	if accepted > 0 && time.Since(c.full) > fullMemory && time.Since(c.alarmed) > alarmPause {
		c.alarmed = time.Now()
		c.Log.Warn("messages were missing, every live request is made due", zap.Int("delivery", accepted))
		signal(c.alarm)
	}
	return err
}

// waitsForRoom reports whether the error of a sweep says that a stream was full.
// Those rows stay due and are tried again in a second, unless the sweep has as
// many rows as it takes: then they are postponed like others, so that they do
// not keep it from the rows behind them.
func (c *claimer) waitsForRoom(err error, rows int) bool {
	if !errors.Is(err, bus.ErrFull) || rows == sweepMost {
		return false
	}
	if time.Since(c.fullLogged) > alarmPause {
		c.fullLogged = time.Now()
		c.Log.Warn("stream is full, commands are published later", zap.Error(err))
	}
	return true
}
