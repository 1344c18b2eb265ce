package sweep

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/run"
)

// alarmPause is the least time between two alarms.
const alarmPause = 10 * time.Second

const (
	// fullPause is the time between two tries to publish into a full stream.
	fullPause = time.Second
	// fullMemory is how long commands that a full stream refused can look like
	// commands that were published and lost.
	fullMemory = time.Minute
)

// publishOverdue publishes what overdue rows need. It marks each command as a
// repeat, except parked turns that were never published.
//
// A queue that accepts the repeat of a turn or a final has lost the first one,
// because those are acknowledged only after the row has moved. If one is lost,
// others are: a purge shows neither in a stream's age nor in its sequence. So
// every live row is made due. Tool calls prove nothing: a runner acknowledges
// them before their result is committed, and results that wait under load must
// not cause an alarm.
func (s *Sweep) publishOverdue(ctx context.Context, rows []run.Row) error {
	var parked, tools, waiting []run.Row
	for _, r := range rows {
		switch {
		case r.Next() == run.RunTurn && r.Unpublished:
			parked = append(parked, r)
		case r.Next() == run.RunTools:
			tools = append(tools, r)
		default:
			waiting = append(waiting, r)
		}
	}
	_, errParked := s.Publish.Publish(ctx, false, parked...)
	_, errTools := s.Publish.Publish(ctx, true, tools...)
	accepted, errWaiting := s.Publish.Publish(ctx, true, waiting...)
	err := errors.Join(errParked, errTools, errWaiting)
	if errors.Is(err, bus.ErrFull) {
		s.lastFull = time.Now()
	}
	// What a full stream refused was not lost.
	if accepted > 0 && time.Since(s.lastFull) > fullMemory && time.Since(s.lastAlarm) > alarmPause {
		s.lastAlarm = time.Now()
		s.Log.Warn("messages were missing, every live request is made due", zap.Int("delivery", accepted))
		s.raiseAlarm()
	}
	return err
}

// waitForRoom reports whether the rows of a sweep stay due because a stream is
// full. A full batch of rows is postponed instead, so that it does not keep the
// sweep from the rows behind it.
func (s *Sweep) waitForRoom(err error, rows int) bool {
	if !errors.Is(err, bus.ErrFull) || rows == batch {
		return false
	}
	if time.Since(s.lastFullLog) > alarmPause {
		s.lastFullLog = time.Now()
		s.Log.Warn("stream is full, commands are published later", zap.Error(err))
	}
	return true
}
