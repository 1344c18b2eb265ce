package wait

import (
	"sync"

	"github.com/google/uuid"
)

// watches are the requests that clients of this gateway wait for. They are safe
// for concurrent use.
type watches struct {
	mu  *sync.Mutex
	all map[uuid.UUID]*watch
}

// watch is one such request. The lock of the watches guards its fields.
type watch struct {
	waits int
	ended chan struct{} // closed at the next hint
}

func newWatches() watches { return watches{mu: new(sync.Mutex), all: map[uuid.UUID]*watch{}} }

// watch begins a wait, which forget ends. The channel is closed at the next
// hint that the request has ended.
func (w watches) watch(id uuid.UUID) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[id] == nil {
		w.all[id] = &watch{ended: make(chan struct{})}
	}
	w.all[id].waits++
	return w.all[id].ended
}

func (w watches) forget(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all[id].waits--; w.all[id].waits == 0 {
		delete(w.all, id)
	}
}

// ended returns the channel of the hint after the last one. The request is
// watched.
func (w watches) ended(id uuid.UUID) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all[id].ended
}

// wake gives the hint.
func (w watches) wake(id uuid.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if one := w.all[id]; one != nil {
		close(one.ended)
		one.ended = make(chan struct{})
	}
}

func (w watches) ids() []uuid.UUID {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]uuid.UUID, 0, len(w.all))
	for id := range w.all {
		ids = append(ids, id)
	}
	return ids
}
