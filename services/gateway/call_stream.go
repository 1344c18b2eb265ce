package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/bus/live"
	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/event"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/answers"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/wait"
	"windlass.dev/windlass/services/internal/livestream"
)

// streamCall accepts a request that is one model call and sends the upstream's
// chunks as they come.
func (s *server) streamCall(x *httpapi.Exchange, r *http.Request, n store.NewRequest) error {
	reader, err := s.bus.ReadLive(run.Hex(n.ID)) // before the row is there: nothing of it can be missed
	if err != nil {
		return err
	}
	defer reader.Close()
	row, err := s.gate.Accept(r.Context(), x, &n)
	if err != nil {
		return err
	}
	x.Header().Set(callHeader, run.CallID.Format(n.ID))
	s.gate.Dispatch(r.Context(), row)
	f := s.followCall(x, n.Tenant, n.ID, reader)
	ctx, cancel := context.WithTimeoutCause(r.Context(), n.Timeout+wait.Slack, errLate)
	defer cancel()
	switch err := f.follow(ctx); {
	case err == nil:
		return nil
	case drained(ctx):
		return f.leave(s.waiters.GiveUp(n, httpapi.RetryAfter))
	case errors.Is(err, errLate):
		return f.leave(s.waiters.GiveUp(n, 0))
	}
	f.out.cut()
	if n.Once.Key == "" { // whoever has the key may come again
		s.canceller.HangUp(n.Tenant, n.ID)
	}
	return httpapi.ErrHungUp
}

// replayCall sends the chunks of a streamed request from the first on, to a
// client that has its Idempotency-Key.
func (s *server) replayCall(x *httpapi.Exchange, r *http.Request, a *answers.Answer) error {
	if a.Status.Terminal() && !a.Live {
		return s.retellCall(x, a)
	}
	reader, err := s.bus.ReadLive(run.Hex(a.ID))
	if err != nil {
		return err
	}
	defer reader.Close()
	f := s.followCall(x, a.Tenant, a.ID, reader)
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.cfg.Registry.Limits().Deadline+wait.Slack, errLate)
	defer cancel()
	_ = f.look(ctx) // what is not found now is after a silence
	if err := f.follow(ctx); err != nil {
		f.out.cut()
		return httpapi.ErrHungUp
	}
	return nil
}

// retellCall sends the chunks of a request that has ended, and was streamed,
// once more.
func (s *server) retellCall(x *httpapi.Exchange, a *answers.Answer) error {
	f := s.followCall(x, a.Tenant, a.ID, nil)
	err := f.archived(context.Background(), a) // what it asks of the database is bounded
	if errors.Is(err, errGoesOn) {
		return fault.Unavailable(httpapi.RetryAfter)
	}
	return err
}

// callFollower sends one request's chunks to the one client that waits for
// them.
type callFollower struct {
	follower

	out *lateSSE
}

func (s *server) followCall(x *httpapi.Exchange, tenant string, id uuid.UUID, reader *live.Reader) *callFollower {
	out := &lateSSE{x: x, since: time.Now()}
	return &callFollower{out: out, follower: follower{
		server: s, tenant: tenant, id: id, reader: reader, out: out, after: -1, seq: livestream.Sequencer{Once: true},
	}}
}

// follow sends chunks until the request has ended, and says how. Its error is
// one of the client's context, or errHungUp.
func (f *callFollower) follow(ctx context.Context) error {
	for {
		err := f.read(ctx)
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
		if err := f.out.keep(); err != nil {
			return err
		}
	}
}

// finish ends the stream if the row has. errGoesOn: it has not, or nobody
// knows. Where chunks are lost it cancels a request whose answer nobody can be
// given any more.
func (f *callFollower) finish(ctx context.Context, why error) error {
	a, err := f.server.waiters.LookUp(ctx, f.tenant, f.id)
	switch {
	case err != nil:
		return errGoesOn
	case !a.Status.Terminal() && lost(why):
		f.server.canceller.HangUp(f.tenant, f.id)
		return f.fail(chunksLost())
	case !a.Status.Terminal(), a.Live && !f.seq.Ended() && !lost(why):
		return errGoesOn
	case a.Status != run.Completed:
		why, err := callFault(a)
		if err != nil {
			return f.fail(httpapi.FaultOf(err))
		}
		return f.fail(why)
	case f.seq.Ended() && f.seq.Whole():
		return f.out.done()
	}
	return f.archived(ctx, a)
}

// archived goes on from the archive of a request that has ended.
func (f *callFollower) archived(ctx context.Context, a *answers.Answer) error {
	chunks, err := f.server.told(ctx, a)
	switch {
	case err != nil:
		return errGoesOn
	case chunks == nil:
		return f.fail(chunksLost())
	}
	if err := f.send(chunks[min(f.next, len(chunks)):]); err != nil {
		return err
	}
	return f.out.done()
}

func chunksLost() *fault.Error {
	return serverFault(http.StatusInternalServerError, "stream_lost", "Chunks of this stream were lost. Please send the request again.")
}

// fail ends the stream with an error: as HTTP has it while nothing was sent,
// and as a chunk from then on.
func (f *callFollower) fail(why *fault.Error) error {
	if f.out.sse == nil {
		f.server.sendCallFault(f.out.x, why)
		return nil
	}
	return f.chunk(why)
}

// leave is fail for a server that cannot go on with a request.
func (f *callFollower) leave(why *fault.Error) error {
	if f.out.sse == nil {
		return why
	}
	return f.chunk(why)
}

func (f *callFollower) chunk(why *fault.Error) error {
	if err := f.out.event(event.Event{Data: why.JSON()}, f.next); err != nil {
		return err
	}
	return f.out.done()
}

// lateSSE is a stream whose head is sent with its first chunk, because clients
// of these endpoints expect what goes wrong before as an HTTP error; or when
// nothing has come for so long that somebody on the way might give the
// connection up.
type lateSSE struct {
	*sse // nil until then

	x     *httpapi.Exchange
	since time.Time
}

func (l *lateSSE) open() (err error) {
	if l.sse == nil {
		l.sse, err = openSSE(l.x)
	}
	return err
}

func (l *lateSSE) event(e event.Event, place int) error {
	if err := l.open(); err != nil {
		return err
	}
	return l.sse.event(e, place)
}

func (l *lateSSE) keep() error {
	switch {
	case l.sse != nil:
		return l.sse.keep()
	case time.Since(l.since) < keepAlive:
		return nil
	}
	return l.open()
}

func (l *lateSSE) done() error {
	if err := l.open(); err != nil {
		return err
	}
	return l.sse.done()
}

func (l *lateSSE) cut() {
	if l.sse != nil {
		l.sse.cut()
	}
}
