// Package claimer admits requests and watches over those admitted.
//
// It claims queued rows by tier and fairness within each lane's free slots, publishes their turns, publishes again what is due
// for rows whose check time has passed, expires what is past its deadline, purges what is kept no longer, and makes every live row due
// when the bus lost a stream. Any number of claimers may run; each does everything, and nothing they do twice has an effect.
package claimer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/process/failpoint"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/lanes"
	"windlass.dev/windlass/services/internal/worker"
)

// Config is that of every worker, and how long what has ended is kept.
type Config struct {
	worker.Config
	Keep
}

// Validate reports every fault at once.
func (c *Config) Validate() error { return errors.Join(c.Config.Validate(), c.validate()) }

// Run claims and sweeps until ctx ends.
func Run(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("check the configuration: %w", err)
	}
	w, err := worker.Open(ctx, "claimer", cfg.Config)
	if err != nil {
		if ctx.Err() != nil {
			return nil // drained before the infrastructure was there
		}
		return err
	}
	defer w.Close(ctx)
	c := &claimer{Worker: w, wake: make(chan struct{}, 1), alarm: make(chan struct{}, 1), lanes: lanes.New(w.Bus, w.Log, w.Registry.Lanes())}
	stop, err := w.Bus.OnWake(func() { signal(c.wake) })
	if err != nil {
		return err
	}
	defer stop()
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { c.claimLoop(ctx); return nil })
	all.Go(func() error { c.sweepLoop(ctx); return nil })
	all.Go(func() error { c.expireLoop(ctx); return nil })
	all.Go(func() error { c.forgetLoop(ctx); return nil })
	for _, p := range c.purgers(cfg.Keep) {
		all.Go(func() error { p.loop(ctx); return nil })
	}
	all.Go(func() error {
		return w.Bus.WatchStreams(ctx, func(stream string) {
			w.Log.Warn("a stream was lost, every live request is made due", zap.String("subject", stream))
			signal(c.alarm)
		})
	})
	return all.Wait()
}

type claimer struct {
	*worker.Worker
	lanes *lanes.Lanes
	wake  chan struct{} // a request was accepted
	alarm chan struct{} // a stream was lost
	// alarmed is when messages were last found missing, full when a stream last
	// refused commands, fullLogged when that was logged. Only the sweep uses them.
	alarmed, full, fullLogged time.Time
}

// signal leaves one token; a second says nothing new.
func signal(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

const (
	idlePoll      = time.Second           // covers a lost wake hint
	saturatedPoll = 20 * time.Millisecond // a lane had no free slot: its turns end without a hint
)

func (c *claimer) claimLoop(ctx context.Context) {
	poll := time.NewTimer(0)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-poll.C:
		}
		wait := idlePoll
		for {
			claimed, saturated, err := c.claim(ctx)
			if err != nil && ctx.Err() == nil {
				c.LogFailure("claim failed", err)
				break
			}
			if saturated {
				wait = saturatedPoll
			}
			if claimed == 0 {
				break
			}
		}
		poll.Reset(wait)
	}
}

// claim takes what fits the lanes' free slots once and publishes it. saturated: some lane had none.
func (c *claimer) claim(ctx context.Context) (claimed int, saturated bool, err error) {
	var free []store.Slots
	for _, lane := range c.lanes.Names() {
		if n := c.lanes.Free(ctx, lane); n > 0 {
			free = append(free, store.Slots{Lane: lane, Free: n})
		}
	}
	saturated = len(free) < len(c.lanes.Names())
	if len(free) == 0 {
		return 0, saturated, nil
	}
	rows, err := c.Store.Claim(ctx, free)
	if err != nil || len(rows) == 0 {
		return 0, saturated, err
	}
	failpoint.Hit(failpoint.ClaimAfterCommit)
	for _, r := range rows {
		c.lanes.Take(r.Lane, 1)
	}
	if _, err := c.Publish.Publish(ctx, false, rows...); err != nil {
		c.Log.Info("claimed turns not published, the sweep will", zap.Error(err))
	}
	return len(rows), saturated, nil
}

const (
	sweepEvery = 250 * time.Millisecond
	sweepMost  = 500
)

func (c *claimer) sweepLoop(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.alarm:
			err := c.RetryOutage(ctx, func(ctx context.Context) error { _, err := c.Store.Alarm(ctx); return err })
			if err != nil {
				continue // draining
			}
		case <-tick.C:
		}
		if time.Since(c.full) < fullPause {
			continue
		}
		for c.sweep(ctx) == sweepMost && ctx.Err() == nil {
		}
	}
}

// sweep publishes what overdue rows need and postpones their next check. It returns how many there were; 0 when it failed.
func (c *claimer) sweep(ctx context.Context) int {
	rows, err := c.Store.Overdue(ctx, sweepMost)
	if err == nil && len(rows) > 0 {
		moving := c.freeStuck(ctx, rows)
		err = c.publishOverdue(ctx, moving)
		if c.waitsForRoom(err, len(rows)) {
			return 0
		}
		if err == nil || errors.Is(err, bus.ErrFull) {
			failpoint.Hit(failpoint.SweepAfterPublish)
			err = c.Store.Postpone(ctx, moving)
		}
	}
	if err != nil {
		if ctx.Err() == nil {
			c.LogFailure("sweep failed", err)
		}
		return 0
	}
	return len(rows)
}

const (
	expireEvery = time.Second
	expireMost  = 200
)

func (c *claimer) expireLoop(ctx context.Context) {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		ids, err := c.Store.Overtime(ctx, expireMost)
		if err != nil && ctx.Err() == nil {
			c.LogFailure("expiry failed", err)
		}
		for _, id := range ids {
			c.expire(ctx, store.Settlement{ID: id, Status: store.Expired, Reason: "deadline_exceeded", AfterWork: true})
		}
	}
}
