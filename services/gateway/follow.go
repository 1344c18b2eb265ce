package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/history"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/livestream"
)

// silence is how long a live stream may say nothing before the row is looked
// at.
const silence = 2 * time.Second

// sink is where a stream's events go: a client's connection of whatever kind.
type sink interface {
	event(e event.Event, place int) error // errHungUp: nobody reads it
	fail(why *fault.Error, place int) error
	keep() error
	done() error
	cut()
}

// follower sends one response's events to one client, from wherever they are:
// the live stream while the request runs, the archive afterwards. All followers
// of a response send the same bytes, those with padding and those without.
type follower struct {
	server  *server
	tenant  string
	id      uuid.UUID
	request *responses.Create
	reader  *live.Reader // nil where nothing is written live
	out     sink
	padding *event.Padding // nil where the client wants none
	after   int            // the last event that the client has
	next    int            // the number of the next event
	seq     livestream.Sequencer
}

// errFollowed ends the reading of a stream that is at its end.
var errFollowed = errors.New("the stream is at its end")

// follow sends events until the response has ended. Its error is one of the
// client's context, or errHungUp.
func (f *follower) follow(ctx context.Context) error {
	if err := f.send(livestream.Opening(f.id, f.request)); err != nil {
		return err
	}
	for {
		var err error
		if f.reader != nil {
			err = f.read(ctx)
		} else if !process.Sleep(ctx, f.server.cfg.PollInterval) {
			err = context.Cause(ctx)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, httpapi.ErrHungUp) {
			return err
		}
		found := f.finish(ctx, err)
		if !errors.Is(found, errGoesOn) {
			return found
		}
		if err != nil && !process.Sleep(ctx, f.server.cfg.PollInterval) { // the bus or the database is away
			return context.Cause(ctx)
		}
		if err = f.out.keep(); err != nil {
			return err
		}
	}
}

// read sends what comes live until there is silence, or an end: its error says
// which.
func (f *follower) read(ctx context.Context) error {
	for !f.seq.Ended() {
		wait, cancel := context.WithTimeout(ctx, silence)
		m, err := f.reader.Next(wait)
		cancel()
		if err != nil && wait.Err() != nil && ctx.Err() == nil {
			return f.look(ctx)
		}
		if err != nil {
			return err
		}
		events, err := f.seq.Take(m)
		if err != nil {
			return err
		}
		if err := f.send(events); err != nil {
			return err
		}
	}
	return errFollowed
}

// look looks for what the tail has missed.
func (f *follower) look(ctx context.Context) error {
	if err := f.reader.Backfill(ctx); err != nil && ctx.Err() == nil {
		f.server.log.Debug("live stream not looked at", zap.String("request_id", run.Hex(f.id)), zap.Error(err))
	}
	return nil
}

// errGoesOn says that the response has not ended.
var errGoesOn = errors.New("the response goes on")

// finish ends the stream if the row has. errGoesOn: it has not, or nobody
// knows.
func (f *follower) finish(ctx context.Context, why error) error {
	a, err := f.server.waiters.LookUp(ctx, f.tenant, f.id)
	switch {
	case errors.Is(err, store.ErrNotFound): // deleted meanwhile
		return f.lose(notFound(run.ResponseID.Format(f.id)))
	case err != nil:
		return errGoesOn
	case f.seq.Ended() && (f.seq.Whole() || a.Status != run.Completed && a.Status != run.Incomplete):
		return f.terminal(a)
	case !a.Status.Terminal() && lost(why):
		return f.lose(f.gap())
	case !a.Status.Terminal() || a.Streamed && a.Live && !f.seq.Ended() && !lost(why):
		return errGoesOn
	}
	return f.archived(ctx, a)
}

func lost(err error) bool {
	return errors.Is(err, live.ErrLost) || errors.Is(err, livestream.ErrLost)
}

// archived goes on from the archive of a response that has ended, or from what
// its row tells.
func (f *follower) archived(ctx context.Context, a *answers.Answer) error {
	events, err := f.server.told(ctx, a)
	if err != nil {
		return errGoesOn
	}
	if events == nil && f.next > len(livestream.Opening(f.id, f.request)) { // what was sent cannot be gone on with
		return f.lose(f.gap())
	}
	if events == nil {
		if events, err = retold(a, f.request); err != nil {
			return f.lose(httpapi.FaultOf(err))
		}
	}
	if err := f.send(events[min(f.next, len(events)):]); err != nil {
		return err
	}
	return f.terminal(a)
}

// told reads the archive; nil where there is none.
func (s *server) told(ctx context.Context, a *answers.Answer) ([]event.Event, error) {
	if !a.Streamed {
		return nil, nil
	}
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	archive, err := query.Retry(ctx, &s.tasks, func(ctx context.Context) ([]byte, error) { return s.answers.Events(ctx, a.Tenant, a.ID) })
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var events []event.Event
	err = livestream.Read(archive, func(e event.Event) error {
		events = append(events, e)
		return nil
	})
	return events, err
}

// retold is the stream of a response of which there is no archive.
func retold(a *answers.Answer, request *responses.Create) ([]event.Event, error) {
	if a.Final == nil { // it was ended before its end, and has no output
		return livestream.Opening(a.ID, request), nil
	}
	output, err := history.OutputItems(a.Final)
	if err != nil {
		return nil, fmt.Errorf("tell the output of %s: %w", a.ID, err)
	}
	return livestream.Replay(a.ID, request, output), nil
}

// terminal sends the last event and the end of the stream.
func (f *follower) terminal(a *answers.Answer) error {
	object, err := render(a)
	if err != nil {
		return f.lose(httpapi.FaultOf(err))
	}
	status := a.Status
	if err := f.send([]event.Event{livestream.Terminal(status, object)}); err != nil {
		return err
	}
	return f.out.done()
}

// gap is what a client is told whose stream has lost frames.
func (f *follower) gap() *fault.Error {
	return &fault.Error{
		Status: http.StatusInternalServerError, Type: "server_error", Code: "stream_lost",
		Message: fmt.Sprintf("Events of this stream were lost. The response goes on: retrieve it with GET /v1/responses/%s.", run.ResponseID.Format(f.id)),
	}
}

// lose ends the stream with an error event.
func (f *follower) lose(why *fault.Error) error {
	if f.next > f.after {
		if err := f.out.fail(why, f.next); err != nil {
			return err
		}
	}
	return f.out.done()
}

// send numbers events and sends those that the client has not.
func (f *follower) send(events []event.Event) error {
	for _, e := range events {
		place := f.next
		f.next++
		if place <= f.after {
			continue
		}
		if err := f.out.event(f.padding.Add(e, place), place); err != nil {
			return err
		}
	}
	return nil
}

// drained tells whether a stream ended because the server does.
func drained(ctx context.Context) bool { return errors.Is(context.Cause(ctx), process.ErrDraining) }
