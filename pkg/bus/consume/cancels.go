package consume

import (
	"context"
	"slices"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/bus/subject"
)

const (
	// cancelMemory is how long the id of a cancelled request is remembered.
	cancelMemory = 10 * time.Minute
	// cancelMemorySize bounds the ids remembered: 65,536 of them are about 8
	// MB.
	cancelMemorySize = 1 << 16
)

// cancels knows the requests of the messages in flight and the requests that
// cancel hints named lately. It is safe for concurrent use.
type cancels struct {
	now func() time.Time

	mu    sync.Mutex
	live  map[string][]*liveCall
	asked map[string]bool // requests whose cancel is being confirmed; true: another hint came since
	gone  map[string]time.Time
	order []goneID // of gone, oldest first; an id that was cancelled again is in it twice
}

type liveCall struct {
	ctx      context.Context //nolint:containedctx // of the handler, which it ends with
	cancel   context.CancelCauseFunc
	delivery Delivery
}

type goneID struct {
	id string
	at time.Time
}

func newCancels(now func() time.Time) *cancels {
	return &cancels{
		now: now, live: make(map[string][]*liveCall), asked: make(map[string]bool), gone: make(map[string]time.Time),
	}
}

// enter registers a call, to be cancelled with ErrCancelled, and reports
// whether a cancel hint named its request before.
func (c *cancels) enter(ctx context.Context, cancel context.CancelCauseFunc, d Delivery) (gone bool, leave func()) {
	id := subject.Token(d.identity().GetRequestId())
	call := &liveCall{ctx, cancel, d}
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

// confirm remembers the id. It returns a call in flight of the request if there
// is one and no confirmation runs. The caller confirms the cancel by that call,
// and by those that next returns.
func (c *cancels) confirm(id string) *liveCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(id)
	if _, runs := c.asked[id]; runs {
		c.asked[id] = true
		return nil
	}
	if len(c.live[id]) == 0 {
		return nil
	}
	c.asked[id] = false
	return c.live[id][0]
}

// next is the call to go on with after a call whose question was answered with
// no, or that ended before the answer: another call if it ended, the first one
// if another hint came meanwhile. nil ends the confirmation.
func (c *cancels) next(id string, ended bool) *liveCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ended || c.asked[id] {
		for _, call := range c.live[id] {
			if call.ctx.Err() == nil {
				c.asked[id] = false
				return call
			}
		}
	}
	delete(c.asked, id)
	return nil
}

// cancel remembers the id and cancels its calls in flight.
func (c *cancels) cancel(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remember(id)
	for _, call := range c.live[id] {
		call.cancel(ErrCancelled)
	}
}

func (c *cancels) remember(id string) {
	now := c.now()
	c.gone[id] = now
	c.order = append(c.order, goneID{id, now})
	for len(c.order) > 0 && (len(c.order) > cancelMemorySize || now.Sub(c.order[0].at) >= cancelMemory) {
		if first := c.order[0]; c.gone[first.id].Equal(first.at) {
			delete(c.gone, first.id)
		}
		c.order = c.order[1:]
	}
}
