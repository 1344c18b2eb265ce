package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/query"
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
	mu  sync.Mutex
	all map[uuid.UUID]orphan
}

// orphan is one of them.
type orphan struct {
	id     uuid.UUID
	tenant string
	since  time.Time
}

func newOrphans() *orphans { return &orphans{all: map[uuid.UUID]orphan{}} }

func (o *orphans) add(tenant string, id uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.all) < maxOrphans {
		o.all[id] = orphan{id, tenant, time.Now()}
	}
}

func (o *orphans) drop(id uuid.UUID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.all, id)
}

// due returns some of those whose accept can no longer be on its way.
func (o *orphans) due() []orphan {
	o.mu.Lock()
	defer o.mu.Unlock()
	var due []orphan
	for _, one := range o.all {
		if time.Since(one.since) >= settled && len(due) < orphansAtOnce {
			due = append(due, one)
		}
	}
	return due
}

// cancelOrphans cancels what is due, all at once: the store joins them into few statements. What cannot be cancelled now stays.
func (s *server) cancelOrphans(ctx context.Context) {
	ctx, cancel := query.WithTimeout(ctx)
	defer cancel()
	var all sync.WaitGroup
	defer all.Wait()
	for _, one := range s.orphans.due() {
		all.Go(func() {
			err := s.settleCancelled(ctx, one.tenant, one.id)
			switch {
			case errors.Is(err, store.ErrStale): // never accepted, or at its end already
			case err != nil:
				return
			default:
				s.log.Info("orphan cancelled", zap.String("request_id", dispatch.BusID(one.id)))
			}
			s.orphans.drop(one.id)
		})
	}
}
