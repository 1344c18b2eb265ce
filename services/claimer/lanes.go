package claimer

import (
	"context"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/internal/backend"
)

const (
	// loadAge is how old a lane's load may be before it is asked again.
	loadAge = 100 * time.Millisecond
	// lookahead is how many turns may wait in a lane's queue beside those in flight, as a part of its concurrency: enough to keep
	// the slots busy between two looks, little enough that a late high tier does not wait behind a full queue.
	lookahead = 2
)

// lanes knows how many turns each lane can take. A slot is a model call in flight, never a request in progress: the load
// is the bus's count of turns, which is also where the limit is enforced, across all claimers and orchestrators.
type lanes struct {
	be    *backend.Backend
	state []*lane
}

type lane struct {
	name     string
	capacity int
	free     int
	asked    time.Time
}

func newLanes(be *backend.Backend) *lanes {
	l := &lanes{be: be}
	for _, r := range be.Registry.Lanes() {
		l.state = append(l.state, &lane{name: r.Name, capacity: r.Concurrency + (r.Concurrency+lookahead-1)/lookahead})
	}
	return l
}

// free returns the lanes with free slots. saturated: some lane has none.
func (l *lanes) free(ctx context.Context) (free []store.Slots, saturated bool) {
	for _, s := range l.state {
		if s.free <= 0 || time.Since(s.asked) > loadAge {
			l.ask(ctx, s)
		}
		if s.free <= 0 {
			saturated = true
			continue
		}
		free = append(free, store.Slots{Lane: s.name, Free: s.free})
	}
	return free, saturated
}

func (l *lanes) ask(ctx context.Context, s *lane) {
	waiting, inFlight, err := l.be.Bus.LaneLoad(ctx, s.name)
	s.asked = time.Now()
	if err != nil {
		// Without the bus nothing can be dispatched; claimed rows would only age. The queue keeps them.
		s.free = 0
		if ctx.Err() == nil {
			l.be.Log.Info("lane load unknown", zap.String("subject", s.name), zap.Error(err))
		}
		return
	}
	s.free = s.capacity - waiting - inFlight
}

// took counts claimed rows against their lanes until the next look.
func (l *lanes) took(rows []store.Row) {
	for _, r := range rows {
		for _, s := range l.state {
			if s.name == r.Lane {
				s.free--
			}
		}
	}
}
