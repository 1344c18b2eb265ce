package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/dispatch"
)

const (
	// settled is how long an accept that was given up may still be on its way: the limit of one statement, and a little.
	settled = 6 * time.Second
	// maxOrphans bounds what an outage leaves behind; requests beyond it run to their end unseen.
	maxOrphans    = 10_000
	orphansAtOnce = 100
)

// orphans are requests that nobody has an id of or waits for any more, and whose cancel has not been committed: accepts of
// unknown outcome, clients that hung up while the database was away. Safe for concurrent use.
type orphans struct {
	mu    sync.Mutex
	since map[uuid.UUID]time.Time
}

func newOrphans() *orphans { return &orphans{since: map[uuid.UUID]time.Time{}} }

func (o *orphans) add(id uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.since) < maxOrphans {
		o.since[id] = time.Now()
	}
}

func (o *orphans) drop(id uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.since, id)
}

// due returns some of those whose accept can no longer be on its way.
func (o *orphans) due() []uuid.UUID {
	o.mu.Lock()
	defer o.mu.Unlock()
	var ids []uuid.UUID
	for id, since := range o.since {
		if time.Since(since) >= settled && len(ids) < orphansAtOnce {
			ids = append(ids, id)
		}
	}
	return ids
}

// cancelOrphans cancels what is due, all at once: the store joins them into few statements. What cannot be cancelled now stays.
func (s *server) cancelOrphans(ctx context.Context) {
	ctx, cancel := patient(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, id := range s.orphans.due() {
		all.Go(func() {
			err := s.settleCancelled(ctx, id)
			switch {
			case errors.Is(err, store.ErrStale): // never accepted, or at its end already
			case err != nil:
				return
			default:
				s.log.Info("orphan cancelled", zap.String("request_id", dispatch.BusID(id)))
			}
			s.orphans.drop(id)
		})
	}
}
