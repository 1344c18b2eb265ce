// Package inflight lets one delivery of a command be handled at a time. A
// broker that was unavailable redelivers commands whose runner still holds a
// result.
package inflight

import (
	"context"
	"sync"
)

// Commands are the commands that are being handled. It is safe for concurrent
// use; the zero value is ready to use.
type Commands struct {
	mu      sync.Mutex
	handled map[string]chan struct{} // by subject; closed when the delivery is handled
}

// Enter waits until no other delivery of the subject is being handled. It
// reports whether it had to wait. The caller must call leave. The error is the
// cause of the end of ctx.
func (c *Commands) Enter(ctx context.Context, subject string) (waited bool, leave func(), err error) {
	for {
		other, leave := c.tryEnter(subject)
		if other == nil {
			return waited, leave, nil
		}
		waited = true
		select {
		case <-other:
		case <-ctx.Done():
			return true, nil, context.Cause(ctx)
		}
	}
}

// tryEnter returns the channel of the delivery that is being handled, or nil
// and the function that ends this one.
func (c *Commands) tryEnter(subject string) (other <-chan struct{}, leave func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if other, taken := c.handled[subject]; taken {
		return other, nil
	}
	if c.handled == nil {
		c.handled = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	c.handled[subject] = mine
	return nil, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.handled, subject)
		close(mine)
	}
}
