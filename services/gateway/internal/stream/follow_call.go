package stream

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

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

// callFollower follows a request that is one model call, for the one client
// that waits for it.
type callFollower struct {
	follower

	head *lateSSE
}

func (s *Server) newCallFollower(x *httpapi.Exchange, tenant string, id uuid.UUID, reader *Reader) *callFollower {
	head := &lateSSE{x: x, since: time.Now()}
	f := &callFollower{head: head, follower: follower{
		streams: s, tenant: tenant, id: id, reader: reader.live, lease: reader.lease, out: head, after: -1,
		seq: livestream.Sequencer{Once: true},
	}}
	f.end = f.endIfEnded
	return f
}

// FollowCall sends the upstream's chunks for a request that was just accepted.
// It returns nil when the request has ended, and httpapi.ErrHungUp if the
// stream ended before that.
func (s *Server) FollowCall(x *httpapi.Exchange, r *http.Request, n store.NewRequest, reader *Reader) error {
	f := s.newCallFollower(x, n.Tenant, n.ID, reader)
	ctx, cancel := context.WithTimeoutCause(r.Context(), n.Timeout+wait.Slack, errLate)
	defer cancel()
	switch err := f.follow(ctx); {
	case err == nil:
		return nil
	case Drained(ctx):
		return f.giveUp(s.waiters.GiveUp(n, httpapi.RetryAfter))
	case errors.Is(err, errLate):
		return f.giveUp(s.waiters.GiveUp(n, 0))
	}
	f.out.Cut()
	if n.Once.Key == "" { // with the key the client may send it again
		s.canceller.HangUp(n.Tenant, n.ID)
	}
	return httpapi.ErrHungUp
}

// ReplayCall sends the chunks of a streamed request from the first on, to a
// client that has its Idempotency-Key.
func (s *Server) ReplayCall(x *httpapi.Exchange, r *http.Request, a *answers.Answer) error {
	if a.Status.Terminal() && !a.Live {
		return s.ReplayEndedCall(x, a)
	}
	reader, err := s.Read(x.Who, a.ID)
	if err != nil {
		return err
	}
	defer reader.Close()
	f := s.newCallFollower(x, a.Tenant, a.ID, reader)
	ctx, cancel := context.WithTimeoutCause(r.Context(), s.deadline+wait.Slack, errLate)
	defer cancel()
	f.backfill(ctx)
	if err := f.follow(ctx); err != nil {
		f.out.Cut()
		return httpapi.ErrHungUp
	}
	return nil
}

// ReplayEndedCall sends the chunks of a request that was streamed and has
// ended.
func (s *Server) ReplayEndedCall(x *httpapi.Exchange, a *answers.Answer) error {
	reader, err := s.lend(x.Who, 0)
	if err != nil {
		return err
	}
	defer reader.Close()
	f := s.newCallFollower(x, a.Tenant, a.ID, reader)
	err = f.sendArchive(context.Background(), a) // its queries are bounded
	if errors.Is(err, errRunning) {
		return fault.Unavailable(httpapi.RetryAfter)
	}
	return err
}

// endIfEnded ends the stream if the request has ended. If chunks are lost, it
// cancels a request whose answer no client can get any more.
func (f *callFollower) endIfEnded(ctx context.Context, cause error) error {
	a, err := f.streams.waiters.LookUp(ctx, f.tenant, f.id)
	switch {
	case err != nil:
		return errRunning
	case !a.Status.Terminal() && isLost(cause):
		f.streams.canceller.HangUp(f.tenant, f.id)
		return f.fail(chunksLost())
	case !a.Status.Terminal(), a.Live && !f.seq.Ended() && !isLost(cause):
		return errRunning
	case a.Status != run.Completed:
		why, err := render.CallFault(a)
		if err != nil {
			return f.fail(httpapi.FaultOf(err))
		}
		return f.fail(why)
	case f.seq.Ended() && f.seq.Whole():
		return f.out.Done()
	}
	return f.sendArchive(ctx, a)
}

// sendArchive continues from the archive of a request that has ended.
func (f *callFollower) sendArchive(ctx context.Context, a *answers.Answer) error {
	chunks, done, err := f.streams.openArchive(ctx, a)
	if err != nil {
		return errRunning
	}
	defer done()
	if !chunks.exists() {
		return f.fail(chunksLost())
	}
	switch err := f.sendFrom(ctx, chunks); {
	case errors.Is(err, httpapi.ErrHungUp):
		return err
	case err != nil:
		return errRunning
	}
	return f.out.Done()
}

func chunksLost() *fault.Error {
	return render.ServerFault(http.StatusInternalServerError, "stream_lost",
		"Chunks of this stream were lost. Please send the request again.")
}

// fail ends the stream with an error: an HTTP error as long as nothing was
// sent, and a chunk from then on.
func (f *callFollower) fail(why *fault.Error) error {
	if f.head.sse == nil {
		render.SendCallFault(f.head.x, why)
		return nil
	}
	return f.sendError(why)
}

// giveUp is fail for a server that cannot continue. As long as nothing was sent
// it returns the error, for the caller to send.
func (f *callFollower) giveUp(why *fault.Error) error {
	if f.head.sse == nil {
		return why
	}
	return f.sendError(why)
}

func (f *callFollower) sendError(why *fault.Error) error {
	if err := f.out.Event(event.Event{Data: why.JSON()}, f.next); err != nil {
		return err
	}
	return f.out.Done()
}
