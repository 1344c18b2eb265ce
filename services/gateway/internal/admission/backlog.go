package admission

import (
	"context"
	"fmt"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/responses/fault"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
)

// recount is how long a count of the queue is used.
const recount = time.Second

// backlog bounds the queue. It counts the queue at most once a second, and
// between two counts it adds what this gateway accepts, so that one gateway
// alone never exceeds the limit. It is safe for concurrent use.
type backlog struct {
	most  int
	count func(ctx context.Context, most int) (int, error)

	mu     sync.Mutex
	at     time.Time // of the last count, begun
	queued int
}

// admit reserves a place in the queue, or refuses.
func (b *backlog) admit(ctx context.Context) error {
	if b.claimCount() {
		// A database that fails to count fails to accept, too.
		if n, err := b.count(ctx, b.most); err == nil {
			b.mu.Lock()
			b.queued = n
			b.mu.Unlock()
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.queued >= b.most {
		return fault.RateLimited(
			fmt.Sprintf("Too many requests are waiting: %d. Please try again in a second.", b.queued),
			httpapi.RetryAfter,
		)
	}
	b.queued++
	return nil
}

// giveBack returns a place that was not used.
func (b *backlog) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queued = max(b.queued-1, 0)
}

// claimCount returns true to one caller a second, which counts.
func (b *backlog) claimCount() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.at) < recount {
		return false
	}
	b.at = time.Now()
	return true
}
