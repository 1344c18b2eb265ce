package stream

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/budget"
	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/retry"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/internal/livestream"
)

// pollRow is how long a live stream may be silent before the row is looked at.
const pollRow = 2 * time.Second

// Sink is the client's connection that a stream's events are written to. Event
// returns httpapi.ErrHungUp if the client has gone.
type Sink interface {
	Event(e event.Event, place int) error
	Fail(why *fault.Error, place int) error
	KeepAlive() error
	Done() error
	Cut()
}

// follower sends one request's events to one client, from the live stream while
// the request runs and from the archive afterwards.
type follower struct {
	streams *Server
	tenant  string
	id      uuid.UUID
	reader  *live.Reader  // nil if nothing is written live
	lease   *budget.Lease // for what the client has not read yet
	out     Sink
	padding *event.Padding // nil: none
	after   int            // the last event that the client has
	next    int            // the number of the next event
	opening int            // the number of first events that no worker writes
	seq     livestream.Sequencer
	// end ends the stream if the request has ended, and returns errRunning
	// otherwise. cause is why the reading ended; nil after a silence.
	end func(ctx context.Context, cause error) error
}

// errStreamEnded ends the reading of a stream that is at its end.
var errStreamEnded = errors.New("the stream is at its end")

// errRunning reports that the request has not ended, or that this is not known.
var errRunning = errors.New("the request goes on")

// follow sends events until the request has ended. It returns the cause of its
// context, or httpapi.ErrHungUp.
func (f *follower) follow(ctx context.Context) error {
	for {
		var err error
		if f.reader != nil {
			err = f.sendLive(ctx)
		} else if !retry.Sleep(ctx, f.streams.poll) {
			err = context.Cause(ctx)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, httpapi.ErrHungUp) {
			return err
		}
		ended := f.end(ctx, err)
		if !errors.Is(ended, errRunning) {
			return ended
		}
		if err != nil && !retry.Sleep(ctx, f.streams.poll) { // the bus or the database is away
			return context.Cause(ctx)
		}
		if err := f.out.KeepAlive(); err != nil {
			return err
		}
	}
}

// sendLive sends live events until there is a silence, for which it returns
// nil, or an end.
func (f *follower) sendLive(ctx context.Context) error {
	for !f.seq.Ended() {
		next, cancel := context.WithTimeout(ctx, pollRow)
		m, err := f.reader.Next(next)
		cancel()
		if err != nil && next.Err() != nil && ctx.Err() == nil {
			f.backfill(ctx)
			return nil
		}
		if err != nil {
			return err
		}
		events, err := f.seq.Take(m)
		if err != nil {
			return err
		}
		if f.seq.Restarted() && f.after >= f.opening { // the client's position is from before
			return livestream.ErrLost
		}
		if err := f.send(events); err != nil {
			return err
		}
	}
	return errStreamEnded
}

// backfill reads frames that the live subscription has missed. What it does not
// find now it finds after the next silence.
func (f *follower) backfill(ctx context.Context) {
	if err := f.reader.Backfill(ctx); err != nil && ctx.Err() == nil {
		f.streams.log.Debug("live stream not looked at", zap.String("request_id", run.Hex(f.id)), zap.Error(err))
	}
}

// send numbers events and sends those that the client does not have.
func (f *follower) send(events []event.Event) error {
	for _, e := range events {
		place := f.next
		f.next++
		if place <= f.after {
			continue
		}
		if err := f.out.Event(f.padding.Add(e, place), place); err != nil {
			return err
		}
	}
	return nil
}

// isLost reports whether an error means that frames were lost.
func isLost(err error) bool {
	return errors.Is(err, live.ErrLost) || errors.Is(err, livestream.ErrLost)
}
