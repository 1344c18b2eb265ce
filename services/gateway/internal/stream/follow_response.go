package stream

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/responses"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/render"
	"windlass.dev/windlass/services/gateway/internal/wait"
	"windlass.dev/windlass/services/internal/livestream"
)

// responseFollower follows a response.
type responseFollower struct {
	follower

	request *responses.Create
}

func (s *Server) newResponseFollower(tenant string, id uuid.UUID, c *responses.Create, after int) *responseFollower {
	f := &responseFollower{
		follower: follower{streams: s, tenant: tenant, id: id, padding: paddingOf(id, c), after: after}, request: c,
	}
	f.opening = len(livestream.Opening(id, c))
	f.end = f.endIfEnded
	return f
}

// paddingOf returns the padding of a request's deltas, or nil if the request
// turns it off. The specification has it on by default.
func paddingOf(id uuid.UUID, c *responses.Create) *event.Padding {
	if c.IncludeObfuscation != nil && !*c.IncludeObfuscation {
		return nil
	}
	return event.PaddingOf(id)
}

// FollowResponse sends the events of a response that was just accepted. It
// returns nil when the response has ended, and httpapi.ErrHungUp if the stream
// ended before that. Errors of open count as a client that has gone.
func (s *Server) FollowResponse(
	ctx context.Context, n store.NewRequest, c *responses.Create, reader *Reader, open func() (Sink, error),
) error {
	out, err := open()
	if err != nil {
		return s.abandon(ctx, n, err)
	}
	f := s.newResponseFollower(n.Tenant, n.ID, c, -1)
	f.reader, f.lease, f.out = reader.live, reader.lease, out
	ctx, cancel := context.WithTimeoutCause(ctx, n.Timeout+wait.Slack, errLate)
	defer cancel()
	if err := f.followFromStart(ctx); err != nil {
		out.Cut()
		return s.abandon(ctx, n, err)
	}
	return nil
}

// ReplayResponse sends the events of a response that has a row, from the one
// behind after on; -1: from the first.
func (s *Server) ReplayResponse(
	x *httpapi.Exchange, r *http.Request, a *answers.Answer, c *responses.Create, after int,
) (err error) {
	f := s.newResponseFollower(a.Tenant, a.ID, c, after)
	var reader *Reader
	if a.Streamed && a.Live {
		reader, err = s.Read(x.Who, a.ID)
	} else {
		reader, err = s.lend(x.Who, archiveBytes)
	}
	if err != nil {
		return err
	}
	defer reader.Close()
	if f.reader, f.lease = reader.live, reader.lease; f.reader != nil {
		f.backfill(r.Context())
	}
	out, err := OpenSSE(x)
	if err != nil {
		return err
	}
	f.out = out
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.deadline+wait.Slack, errLate)
	defer cancel()
	if a.Status.Terminal() && !a.Live {
		if err = f.sendArchive(ctx, a); errors.Is(err, errRunning) { // the database is away
			err = f.follow(ctx)
		}
	} else {
		err = f.followFromStart(ctx)
	}
	if err != nil {
		f.out.Cut()
		return httpapi.ErrHungUp
	}
	return nil
}

func (f *responseFollower) followFromStart(ctx context.Context) error {
	if err := f.send(livestream.Opening(f.id, f.request)); err != nil {
		return err
	}
	return f.follow(ctx)
}

func (f *responseFollower) endIfEnded(ctx context.Context, cause error) error {
	a, err := f.streams.waiters.LookUp(ctx, f.tenant, f.id)
	switch {
	case errors.Is(err, store.ErrNotFound): // deleted since
		return f.fail(render.NotFound(run.ResponseID.Format(f.id)))
	case err != nil:
		return errRunning
	case f.seq.Ended() && !f.seq.HasBegun() && f.after > f.opening: // the client has events that are not there
		return f.fail(f.eventsLost())
	case f.seq.Ended() && (f.seq.Whole() || a.Status != run.Completed && a.Status != run.Incomplete):
		return f.sendLast(ctx, a)
	case !a.Status.Terminal() && isLost(cause):
		return f.fail(f.eventsLost())
	case !a.Status.Terminal() || a.Streamed && a.Live && !f.seq.Ended() && !isLost(cause):
		return errRunning
	}
	return f.sendArchive(ctx, a)
}

// sendArchive continues from the archive of a response that has ended, or from
// its final object.
func (f *responseFollower) sendArchive(ctx context.Context, a *answers.Answer) error {
	events, done, err := f.streams.openArchive(ctx, a)
	if err != nil {
		return errRunning
	}
	defer done()
	if !events.exists() {
		return f.sendReplay(ctx, a)
	}
	restarted := events.restarted()
	if f.next > f.opening && restarted != f.seq.Restarted() || f.after >= f.opening && restarted {
		return f.fail(f.eventsLost())
	}
	switch err := f.sendFrom(ctx, events); {
	case errors.Is(err, httpapi.ErrHungUp):
		return err
	case err != nil:
		return errRunning
	}
	// Read again and not kept meanwhile: it may be large, and the client slow.
	if a, err = f.streams.waiters.LookUp(ctx, f.tenant, f.id); err != nil {
		return f.endIfEnded(ctx, nil) // it was deleted, or the database is away
	}
	return f.sendLast(ctx, a)
}

// sendReplay sends events that are made from the final object. Their numbers
// are not those of the events that were streamed, so that a client which has
// some of these cannot continue.
func (f *responseFollower) sendReplay(ctx context.Context, a *answers.Answer) error {
	if err := f.grow(ctx, lastBytes(a)); err != nil { // once more: all events are made from it
		return err
	}
	events, err := replayFromResult(a, f.request)
	if err != nil {
		return f.fail(httpapi.FaultOf(err))
	}
	inside := len(events) > f.opening && max(f.next, f.after+1) > f.opening
	if a.Streamed && (inside || f.after > len(events)) {
		return f.fail(f.eventsLost())
	}
	if err := f.send(events[min(f.next, len(events)):]); err != nil {
		return err
	}
	return f.sendLast(ctx, a)
}

// replayFromResult returns the events of a response that has no archive.
func replayFromResult(a *answers.Answer, request *responses.Create) ([]event.Event, error) {
	if a.Final == nil { // it was cancelled or expired, and has no output
		return livestream.Opening(a.ID, request), nil
	}
	output, err := render.Output(a.Final)
	if err != nil {
		return nil, fmt.Errorf("tell the output of %s: %w", a.ID, err)
	}
	return livestream.Replay(a.ID, request, output), nil
}

// sendLast sends the last event and the end of the stream.
func (f *responseFollower) sendLast(ctx context.Context, a *answers.Answer) error {
	if err := f.grow(ctx, lastBytes(a)); err != nil {
		return err
	}
	object, err := render.Response(a)
	if err != nil {
		return f.fail(httpapi.FaultOf(err))
	}
	if err := f.send([]event.Event{livestream.Terminal(a.Status, object)}); err != nil {
		return err
	}
	return f.out.Done()
}

func (f *responseFollower) eventsLost() *fault.Error {
	return render.ServerFault(http.StatusInternalServerError, "stream_lost", fmt.Sprintf(
		"Events of this stream were lost, and it cannot be continued. The response goes on: retrieve it with GET /v1/responses/%s.",
		run.ResponseID.Format(f.id)))
}

// fail ends the stream with an error event, behind all that the client has.
func (f *responseFollower) fail(why *fault.Error) error {
	if err := f.out.Fail(why, max(f.next, f.after+1)); err != nil {
		return err
	}
	return f.out.Done()
}
