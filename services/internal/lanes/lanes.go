// Package lanes knows how many more turns each lane can take.
//
// A slot is a model call in flight, never a request in progress. The load is
// the bus's count of turns, which is also where the limit is enforced, across
// all claimers, gateways and orchestrators. A process that admits on an old
// count only makes a turn wait on the bus instead of in the queue.
//
// It promises that a lane has no free slot while its load is unknown
// (TestLanesAreFullWhileTheBusIsAway). It does not promise an exact count:
// processes that look at the same moment see the same free slots.
package lanes

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/bus"
	"windlass.dev/windlass/pkg/registry"
)

const (
	// maxAge is how old a lane's load may be before it is read again.
	maxAge = 100 * time.Millisecond
	// lookahead bounds the turns that may wait in a lane's queue beside those
	// in flight to 1/lookahead of its concurrency: enough to keep the slots
	// busy between two reads, little enough that a late high tier does not wait
	// behind a full queue.
	lookahead = 2
)

// Lanes counts what one process admits between two reads of the bus. Safe for
// concurrent use.
type Lanes struct {
	bus *bus.Bus
	log *zap.Logger

	mu    sync.Mutex
	lanes map[string]*lane
	names []string
}

type lane struct {
	capacity   int
	free       int
	readAt     time.Time
	refreshing bool
}

// New returns the lanes of a registry. Their loads are read at the first use.
func New(b *bus.Bus, log *zap.Logger, all []registry.Lane) *Lanes {
	l := &Lanes{bus: b, log: log, lanes: make(map[string]*lane)}
	for _, r := range all {
		l.lanes[r.Name] = &lane{capacity: r.Concurrency + (r.Concurrency+lookahead-1)/lookahead}
		l.names = append(l.names, r.Name)
	}
	return l
}

// Names returns the lanes' names in the registry's order.
func (l *Lanes) Names() []string { return l.names }

// Free returns how many turns the lane can take. It reads the load from the bus
// if the last read is too old or left no free slot.
func (l *Lanes) Free(ctx context.Context, name string) int {
	l.mu.Lock()
	s := l.lanes[name]
	stale := s.free <= 0 || time.Since(s.readAt) > maxAge
	l.mu.Unlock()
	if stale {
		l.Refresh(ctx, name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(s.free, 0)
}

// Take counts n turns against the lane until the next read.
func (l *Lanes) Take(name string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.lanes[name]; s != nil {
		s.free -= n
	}
}

// Release gives back a slot that Reserve took and that was not used.
func (l *Lanes) Release(name string) { l.Take(name, -1) }

// Reserve takes one free slot without reading the bus. refresh reports that the
// load is old and that the caller is the one to call Refresh, when it has the
// time.
func (l *Lanes) Reserve(name string) (ok, refresh bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.lanes[name]
	if s == nil {
		return false, false
	}
	age := time.Since(s.readAt)
	if refresh = age > maxAge && !s.refreshing; refresh {
		s.refreshing = true
	}
	if s.free <= 0 || age > 10*maxAge {
		return false, refresh
	}
	s.free--
	return true, refresh
}

// Refresh reads the lane's load from the bus. If the bus does not answer, the
// lane has no free slot: nothing could be dispatched, and admitted requests
// would only age.
func (l *Lanes) Refresh(ctx context.Context, name string) {
	waiting, inFlight, err := l.bus.LaneLoad(ctx, name)
	if err != nil && ctx.Err() == nil {
		l.log.Info("lane load unknown", zap.String("subject", name), zap.Error(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.lanes[name]
	s.readAt, s.refreshing, s.free = time.Now(), false, 0
	if err == nil {
		s.free = s.capacity - waiting - inFlight
	}
}
