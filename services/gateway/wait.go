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
	"windlass.dev/windlass/services/internal/dispatch"
)

// slack is what a wait goes on beyond the request's deadline: the sweep needs a moment to make it a status.
const slack = 10 * time.Second

// waiters are the requests that clients of this gateway wait for. Safe for concurrent use; each request has one waiter.
type waiters struct {
	mu    sync.Mutex
	ended map[uuid.UUID]chan struct{}
}

func newWaiters() *waiters { return &waiters{ended: map[uuid.UUID]chan struct{}{}} }

// watch returns a channel that is closed at the next word that the request has ended.
func (w *waiters) watch(id uuid.UUID) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended[id] == nil {
		w.ended[id] = make(chan struct{})
	}
	return w.ended[id]
}

func (w *waiters) forget(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ended, id)
}

// wake gives the word.
func (w *waiters) wake(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended := w.ended[id]; ended != nil {
		close(ended)
		delete(w.ended, id)
	}
}

func (w *waiters) ids() []uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(w.ended))
	for id := range w.ended {
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
	for sleep(ctx, s.cfg.PollInterval) {
		s.cancelOrphans(ctx)
		ids := s.waiters.ids()
		if len(ids) == 0 {
			continue
		}
		done, err := s.store.Finished(ctx, ids)
		if err != nil && !blind && ctx.Err() == nil {
			s.log.Warn("waiting requests could not be looked at", zap.Error(err))
		}
		blind = err != nil
		for _, id := range done {
			s.waiters.wake(id)
		}
	}
}

// await answers with the final object, however long it takes up to the deadline. The request is watched already.
func (s *server) await(x *exchange, r *http.Request, n store.NewRequest) error {
	id := n.ID
	late := time.NewTimer(n.Timeout + slack)
	defer late.Stop()
	ended := s.waiters.watch(id)
	for {
		select {
		case <-ended:
		case <-late.C:
			return s.leave(n, 0)
		case <-r.Context().Done():
			if errors.Is(context.Cause(r.Context()), process.ErrDraining) {
				return s.leave(n, retryAfter)
			}
			s.hangUp(x.who.tenant, id)
			return errHungUp
		}
		ended = s.waiters.watch(id) // before the read: an end between the two is not missed
		a, err := s.lookUp(r.Context(), x.who.tenant, id)
		switch {
		case err == nil && a.Status.Terminal():
			return s.show(x, a)
		case err != nil && !store.Unavailable(err) && r.Context().Err() == nil:
			return err
		}
		// A hint that was not true, or a database that is away: the poll gives the word again.
	}
}

// hangUp cancels the request of a client that has gone.
func (s *server) hangUp(tenant string, id uuid.UUID) {
	ctx, cancel := patient(context.Background()) // the client's context has ended
	defer cancel()
	err := s.settleCancelled(ctx, tenant, id)
	switch {
	case err == nil || errors.Is(err, store.ErrStale):
	case store.Unavailable(err):
		s.orphans.add(tenant, id)
	default:
		s.log.Error("request of a client that hung up not cancelled",
			zap.String("request_id", dispatch.BusID(id)), zap.Error(err))
	}
}

// leave ends a wait that the server cannot go on with. What is not stored has no reader but this one, so it is cancelled, and the
// client is asked to send it again.
func (s *server) leave(n store.NewRequest, after time.Duration) *fault.Error {
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
		"for it. Retrieve it with GET /v1/responses/%[1]s.", publicID(id))
	return f
}
