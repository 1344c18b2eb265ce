package store

import (
	"context"
	"slices"
	"sync"
	"time"
)

// statementTimeout bounds one statement from the caller's side; a connection that says nothing for that long is closed.
const statementTimeout = 5 * time.Second

// group joins calls that wait for the database at the same time into one statement: whoever gets a lead runs everything that
// waits, the others wait for the answer or for the next lead. No goroutine outlives its callers.
type group[In, Out any] struct {
	// run answers for every item, in order.
	run   func(ctx context.Context, items []In) ([]Out, error)
	most  int           // items in one statement
	leads chan struct{} // statements on their way

	mu      sync.Mutex
	waiting []*call[In, Out]
}

type call[In, Out any] struct {
	item In
	out  Out
	err  error
	done chan struct{}
}

func newGroup[In, Out any](leads, most int, run func(context.Context, []In) ([]Out, error)) *group[In, Out] {
	return &group[In, Out]{run: run, most: most, leads: make(chan struct{}, leads)}
}

// do returns what run answered for the item. When ctx ends first the item may still be written: that is the ambiguity of any
// commit whose answer is lost.
func (g *group[In, Out]) do(ctx context.Context, item In) (Out, error) {
	c := &call[In, Out]{item: item, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, c)
	g.mu.Unlock()
	leads := g.leads
	for {
		select {
		case <-c.done:
			return c.out, c.err
		case leads <- struct{}{}:
			g.flush(ctx)
			<-g.leads
			if !g.waits(c) {
				leads = nil // the item is done or on its way: another lead would find nothing to do, over and over
			}
		case <-ctx.Done():
			select {
			case <-c.done: // answered after all
				return c.out, c.err
			default:
			}
			g.leave(c)
			var none Out
			return none, context.Cause(ctx)
		}
	}
}

// flush runs one statement for what waits. The leader's own item may be in another's statement already.
func (g *group[In, Out]) flush(ctx context.Context) {
	g.mu.Lock()
	n := min(len(g.waiting), g.most)
	batch := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	g.mu.Unlock()
	if n == 0 {
		return
	}
	items := make([]In, n)
	for i, c := range batch {
		items[i] = c.item
	}
	// The leader's cancellation must not end the others' statement.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	outs, err := g.run(ctx, items)
	if err != nil && n > 1 && !Unavailable(err) {
		g.oneByOne(ctx, batch) // one bad item must not fail its neighbours
		return
	}
	for i, c := range batch {
		if c.err = err; err == nil {
			c.out = outs[i]
		}
		close(c.done)
	}
}

func (g *group[In, Out]) oneByOne(ctx context.Context, batch []*call[In, Out]) {
	for _, c := range batch {
		outs, err := g.run(ctx, []In{c.item})
		if c.err = err; err == nil {
			c.out = outs[0]
		}
		close(c.done)
	}
}

// waits tells whether no statement has taken the call yet.
func (g *group[In, Out]) waits(c *call[In, Out]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Contains(g.waiting, c)
}

// leave takes a call whose caller has gone out of the queue, if it still waits there.
func (g *group[In, Out]) leave(c *call[In, Out]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting, c); i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
}
