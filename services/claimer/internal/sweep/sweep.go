// Package sweep publishes what is due for rows whose check time has passed. It
// covers messages that were lost, and those that no handler was left to
// publish.
//
// A message that turns out to be missing raises the alarm, because others are
// missing with it: every live request is made due then, as when the bus reports
// a lost stream (TestALostTurnAlarmsAndALostToolCallDoesNot). A stream that is
// full has lost nothing; its rows stay due and are tried again each second
// (TestAFullQueueIsNotALoss). A command that its queue keeps but never delivers
// is deleted and replaced (TestACommandThatIsNeverDeliveredIsReplaced).
package sweep

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/services/claimer/internal/periodic"
	"windlass.dev/windlass/services/internal/worker"
)

const (
	interval = 250 * time.Millisecond
	batch    = 500
)

// Sweep is safe for one Run at a time.
type Sweep struct {
	*worker.Worker
	wake  periodic.Signal
	alarm periodic.Signal // messages are missing
	// lastAlarm is when messages were last found missing, lastFull when a
	// stream last refused commands, lastFullLog when that was logged.
	lastAlarm, lastFull, lastFullLog time.Time
}

// New returns the sweep of all live requests.
func New(w *worker.Worker) *Sweep {
	return &Sweep{Worker: w, wake: periodic.NewSignal(), alarm: periodic.NewSignal()}
}

// Run sweeps until ctx ends, and watches for lost streams.
func (s *Sweep) Run(ctx context.Context) error {
	jobs, ctx := errgroup.WithContext(ctx)
	jobs.Go(func() error { return s.watchStreams(ctx) })
	jobs.Go(func() error {
		periodic.Run(ctx, s.wake, periodic.Every(interval, s.sweepAll))
		return nil
	})
	return jobs.Wait()
}

func (s *Sweep) watchStreams(ctx context.Context) error {
	return s.Bus.WatchStreams(ctx, func(stream string) {
		s.Log.Warn("a stream was lost, every live request is made due", zap.String("subject", stream))
		s.raiseAlarm()
	})
}

// raiseAlarm makes the next sweep, at once, make every live request due.
func (s *Sweep) raiseAlarm() {
	s.alarm.Send()
	s.wake.Send()
}

// sweepAll sweeps until no row is overdue.
func (s *Sweep) sweepAll(ctx context.Context) {
	select {
	case <-s.alarm:
		err := s.RetryOutage(ctx, func(ctx context.Context) error { _, err := s.Store.MakeAllDue(ctx); return err })
		if err != nil {
			return // draining
		}
	default:
	}
	if time.Since(s.lastFull) < fullPause {
		return
	}
	for s.sweepBatch(ctx) == batch && ctx.Err() == nil {
	}
}

// sweepBatch publishes what overdue rows need and postpones their next check.
// It returns the number of rows, or 0 if it failed.
func (s *Sweep) sweepBatch(ctx context.Context) int {
	rows, err := s.Store.Overdue(ctx, batch)
	if err == nil && len(rows) > 0 {
		moving := s.replaceStuck(ctx, rows)
		err = s.publishOverdue(ctx, moving)
		if s.waitForRoom(err, len(rows)) {
			return 0
		}
		if err == nil || errors.Is(err, bus.ErrFull) {
			failpoint.Hit(failpoint.SweepAfterPublish)
			err = s.Store.Postpone(ctx, moving)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			s.LogFailure("sweep failed", err)
		}
		return 0
	}
	return len(rows)
}
