package batch

import (
	"context"
	"slices"
	"sync"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Queue joins calls of one kind. A caller that gets a lead runs one statement
// for everything that waits; the others wait for their result or for the next
// lead. It is safe for concurrent use.
type Queue[In, Out any] struct {
	// run returns one result per item, in order.
	run   func(ctx context.Context, items []In) ([]Out, error)
	limit int           // items in one statement
	leads chan struct{} // one per running statement

	mu      sync.Mutex
	waiting []*call[In, Out]
}

type call[In, Out any] struct {
	item In
	out  Out
	err  error
	done chan struct{}
}

// New returns a queue that runs up to leads statements at the same time, each
// with up to limit items. run returns one result per item, in order.
func New[In, Out any](leads, limit int, run func(context.Context, []In) ([]Out, error)) *Queue[In, Out] {
	return &Queue[In, Out]{run: run, limit: limit, leads: make(chan struct{}, leads)}
}

// Do returns the result of run for the item. If ctx ends first the item may
// still be written: a commit whose answer is lost has the same ambiguity.
func (q *Queue[In, Out]) Do(ctx context.Context, item In) (Out, error) {
	c := &call[In, Out]{item: item, done: make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, c)
	q.mu.Unlock()
	leads := q.leads
	for {
		select {
		case <-c.done:
			return c.out, c.err
		case leads <- struct{}{}:
			q.flush(ctx)
			<-q.leads
			if !q.isWaiting(c) {
				leads = nil // the item is in a statement: another lead would find nothing to do
			}
		case <-ctx.Done():
			select {
			case <-c.done: // the result came at the same moment
				return c.out, c.err
			default:
			}
			q.remove(c)
			var none Out
			return none, context.Cause(ctx)
		}
	}
}

// Waiting returns the number of calls that no statement has taken yet.
func (q *Queue[In, Out]) Waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// Hold blocks new statements until release is called, for tests that want calls
// to share a statement.
func (q *Queue[In, Out]) Hold() (release func()) {
	for range cap(q.leads) {
		q.leads <- struct{}{}
	}
	return func() {
		for range cap(q.leads) {
			<-q.leads
		}
	}
}

// flush runs one statement for what waits. The leader's own item may be in
// another statement already.
func (q *Queue[In, Out]) flush(ctx context.Context) {
	q.mu.Lock()
	n := min(len(q.waiting), q.limit)
	calls := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.mu.Unlock()
	if n == 0 {
		return
	}
	items := make([]In, n)
	for i, c := range calls {
		items[i] = c.item
	}
	// The leader's cancellation must not end the others' statement.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postgres.StatementTimeout)
	defer cancel()
	outs, err := q.run(ctx, items)
	if err != nil && n > 1 && !postgres.Unavailable(err) {
		q.runEach(ctx, calls) // one bad item must not fail its neighbours
		return
	}
	for i, c := range calls {
		if c.err = err; err == nil {
			c.out = outs[i]
		}
		close(c.done)
	}
}

func (q *Queue[In, Out]) runEach(ctx context.Context, calls []*call[In, Out]) {
	for _, c := range calls {
		outs, err := q.run(ctx, []In{c.item})
		if c.err = err; err == nil {
			c.out = outs[0]
		}
		close(c.done)
	}
}

func (q *Queue[In, Out]) isWaiting(c *call[In, Out]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Contains(q.waiting, c)
}

// remove takes the call of a caller that left out of the queue, unless a
// statement has it.
func (q *Queue[In, Out]) remove(c *call[In, Out]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.waiting, c); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}
