// Package lanes knows how many more turns each lane can take. A slot is a model call in flight, never a request in progress:
// the load is the bus's count of turns, which is also where the limit is enforced, across all claimers, gateways and
// orchestrators. Whoever admits on an old count only makes a turn wait on the bus instead of in the queue.
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
	// maxAge is how old a lane's load may be before it is asked again.
	maxAge = 100 * time.Millisecond
	// lookahead is how many turns may wait in a lane's queue beside those in flight, as a part of its concurrency: enough to keep
	// the slots busy between two looks, little enough that a late high tier does not wait behind a full queue.
	lookahead = 2
)

// Lanes counts what one process admits between two looks at the bus. Safe for concurrent use.
type Lanes struct {
	bus *bus.Bus
	log *zap.Logger

	mu    sync.Mutex
	lanes map[string]*lane
	names []string
}

type lane struct {
	capacity int
	free     int
	asked    time.Time
	asking   bool
}

// New knows the lanes of a registry; nothing is asked before the first use.
func New(b *bus.Bus, log *zap.Logger, all []registry.Lane) *Lanes {
	l := &Lanes{bus: b, log: log, lanes: make(map[string]*lane)}
	for _, r := range all {
		l.lanes[r.Name] = &lane{capacity: r.Concurrency + (r.Concurrency+lookahead-1)/lookahead}
		l.names = append(l.names, r.Name)
	}
	return l
}

// Names are the lanes, in the registry's order.
func (l *Lanes) Names() []string { return l.names }

// Free is how many turns the lane can take, asked anew when the last look is too old or shows none.
func (l *Lanes) Free(ctx context.Context, name string) int {
	l.mu.Lock()
	s := l.lanes[name]
	stale := s.free <= 0 || time.Since(s.asked) > maxAge
	l.mu.Unlock()
	if stale {
		l.Ask(ctx, name)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(s.free, 0)
}

// Took counts n turns against the lane until the next look.
func (l *Lanes) Took(name string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.lanes[name]; s != nil {
		s.free -= n
	}
}

// Reserve takes one slot of what the last look showed, without asking. ask tells that a look is due and that the caller is the
// one to take it, by Ask, when it has the time.
func (l *Lanes) Reserve(name string) (ok, ask bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.lanes[name]
	if s == nil {
		return false, false
	}
	age := time.Since(s.asked)
	if ask = age > maxAge && !s.asking; ask {
		s.asking = true
	}
	if s.free <= 0 || age > 10*maxAge {
		return false, ask
	}
	s.free--
	return true, ask
}

// Ask looks at the bus. Without it nothing can be dispatched and admitted requests would only age: the lane shows no free slot.
func (l *Lanes) Ask(ctx context.Context, name string) {
	waiting, inFlight, err := l.bus.LaneLoad(ctx, name)
	if err != nil && ctx.Err() == nil {
		l.log.Info("lane load unknown", zap.String("subject", name), zap.Error(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.lanes[name]
	s.asked, s.asking, s.free = time.Now(), false, 0
	if err == nil {
		s.free = s.capacity - waiting - inFlight
	}
}
