package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/process"
	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
	"windlass.dev/windlass/services/internal/dispatch"
)

// slack is what a wait goes on beyond the request's deadline: the sweep needs a moment to make it a status.
const slack = 10 * time.Second

// waiters are the requests that clients of this gateway wait for. Safe for concurrent use.
type waiters struct {
	mu      sync.Mutex
	watched map[uuid.UUID]*watched
}

// watched is a request that somebody waits for. Its fields belong to the lock of the waiters.
type watched struct {
	by    int
	ended chan struct{} // closed at the next word
}

func newWaiters() *waiters { return &waiters{watched: map[uuid.UUID]*watched{}} }

// watch begins a wait, which forget ends. It returns a channel that is closed at the next word that the request has ended.
func (w *waiters) watch(id uuid.UUID) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched[id] == nil {
		w.watched[id] = &watched{ended: make(chan struct{})}
	}
	w.watched[id].by++
	return w.watched[id].ended
}

func (w *waiters) forget(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched[id].by--; w.watched[id].by == 0 {
		delete(w.watched, id)
	}
}

// ended is the channel of watch for the word after that. The request is watched.
func (w *waiters) ended(id uuid.UUID) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watched[id].ended
}

// wake gives the word.
func (w *waiters) wake(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.watched[id]; one != nil {
		close(one.ended)
		one.ended = make(chan struct{})
	}
}

func (w *waiters) ids() []uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(w.watched))
	for id := range w.watched {
		ids = append(ids, id)
	}
	return ids
}

// onDone takes the hint that a request has ended. It says nothing about who waits here.
func (s *server) onDone(busID string) {
	if id, err := dispatch.RequestID(busID); err == nil {
		s.waiters.wake(id)
	}
}

// watch looks at the rows of all waiters, one statement an interval, for ends whose hint was lost, and cancels orphans.
func (s *server) watch(ctx context.Context) {
	blind := false
	for process.Sleep(ctx, s.cfg.PollInterval) {
		s.cancelOrphans(ctx)
		ids := s.waiters.ids()
		if len(ids) == 0 {
			continue
		}
		done, err := s.store.Finished(ctx, ids)
		if err != nil && !blind && ctx.Err() == nil && !httpapi.Unavailable(err) { // the store logs an outage
			s.log.Error("waiting requests could not be looked at", zap.Error(err))
		}
		blind = err != nil
		for _, id := range done {
			s.waiters.wake(id)
		}
	}
}

// await answers with the final object, however long it takes up to the deadline. ended is of the watch that began before the row was
// there, or was read: a word that came since is not missed.
func (s *server) await(x *httpapi.Exchange, r *http.Request, n store.NewRequest, ended <-chan struct{}) error {
	id := n.ID
	late := time.NewTimer(n.Timeout + slack)
	defer late.Stop()
	for {
		select {
		case <-ended:
		case <-late.C:
			return s.leave(n, 0)
		case <-r.Context().Done():
			if errors.Is(context.Cause(r.Context()), process.ErrDraining) {
				return s.leave(n, httpapi.RetryAfter)
			}
			if n.Once.Key == "" { // else it may come back for its answer
				s.hangUp(x.Who.Tenant, id)
			}
			return httpapi.ErrHungUp
		}
		ended = s.waiters.ended(id) // before the read: an end between the two is not missed
		a, err := s.lookUp(r.Context(), x.Who.Tenant, id)
		switch {
		case err == nil && a.Status.Terminal():
			return s.show(x, a)
		case err != nil && !httpapi.Unavailable(err) && r.Context().Err() == nil:
			return err
		}
		// A hint that was not true, or a database that is away: the poll gives the word again.
	}
}

// hangUp cancels the request of a client that has gone.
func (s *server) hangUp(tenant string, id uuid.UUID) {
	ctx, cancel := query.WithTimeout(context.Background()) // the client's context has ended
	defer cancel()
	err := s.settleCancelled(ctx, tenant, id)
	switch {
	case err == nil || errors.Is(err, store.ErrStale):
	case httpapi.Unavailable(err):
		s.orphans.add(tenant, id)
	default:
		s.log.Error("request of a client that hung up not cancelled",
			zap.String("request_id", dispatch.BusID(id)), zap.Error(err))
	}
}

// leave ends a wait that the server cannot go on with. What is not stored and has no key has no reader but this one, so it is
// cancelled, and the client is asked to send it again.
func (s *server) leave(n store.NewRequest, after time.Duration) *fault.Error {
	if n.Once.Key != "" {
		f := pending(n.ID, after)
		f.Message = "The request was accepted and is still being processed, but this server can no longer wait for it. " +
			"Send it again with the same Idempotency-Key."
		return f
	}
	if n.Unstored {
		s.hangUp(n.Tenant, n.ID)
		return fault.Unavailable(after)
	}
	return pending(n.ID, after)
}

// pending tells a client that waits no longer where its answer will be.
func pending(id uuid.UUID, after time.Duration) *fault.Error {
	f := fault.Unavailable(after)
	f.Code = "response_pending"
	f.Message = fmt.Sprintf("The response '%s' was accepted and is still being processed, but this server can no longer wait "+
		"for it. Retrieve it with GET /v1/responses/%[1]s.", Response(id))
	return f
}
