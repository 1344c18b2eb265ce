package bus

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// cancelMemory is how long the id of a cancelled request is remembered.
	cancelMemory = 10 * time.Minute
	// cancelMemorySize bounds the ids remembered: 65,536 of them are about 8 MB.
	cancelMemorySize = 1 << 16
)

// cancels knows the requests of the messages in flight and the requests that were cancelled lately. It is safe for
// concurrent use.
type cancels struct {
	now func() time.Time

	mu    sync.Mutex
	live  map[string][]*liveCall
	gone  map[string]time.Time
	order []goneID // of gone, oldest first; an id that was cancelled again is in it twice
}

type liveCall struct{ cancel context.CancelCauseFunc }

type goneID struct {
	id string
	at time.Time
}

func newCancels(now func() time.Time) *cancels {
	return &cancels{now: now, live: make(map[string][]*liveCall), gone: make(map[string]time.Time)}
}

// enter registers a call for one request, to be cancelled with ErrCancelled, and reports whether the request was cancelled
// before.
func (c *cancels) enter(requestID string, cancel context.CancelCauseFunc) (gone bool, leave func()) {
	id := token(requestID)
	call := &liveCall{cancel}
	c.mu.Lock()
	defer c.mu.Unlock()
	at, gone := c.gone[id]
	c.live[id] = append(c.live[id], call)
	return gone && c.now().Sub(at) < cancelMemory, func() { c.leave(id, call) }
}

func (c *cancels) leave(id string, call *liveCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := slices.DeleteFunc(c.live[id], func(other *liveCall) bool { return other == call })
	if len(rest) == 0 {
		delete(c.live, id)
		return
	}
	c.live[id] = rest
}

// cancel remembers the id and cancels its calls in flight.
func (c *cancels) cancel(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.gone[id] = now
	c.order = append(c.order, goneID{id, now})
	for len(c.order) > 0 && (len(c.order) > cancelMemorySize || now.Sub(c.order[0].at) >= cancelMemory) {
		if first := c.order[0]; c.gone[first.id].Equal(first.at) {
			delete(c.gone, first.id)
		}
		c.order = c.order[1:]
	}
	for _, call := range c.live[id] {
		call.cancel(ErrCancelled)
	}
}
