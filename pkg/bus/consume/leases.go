package consume

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leases renews the messages in flight of one runner. It is safe for concurrent
// use.
type leases struct {
	mu   sync.Mutex
	held map[jetstream.Msg]struct{}
}

func newLeases() *leases { return &leases{held: make(map[jetstream.Msg]struct{})} }

func (l *leases) hold(msg jetstream.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held[msg] = struct{}{}
}

func (l *leases) drop(msg jetstream.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, msg)
}

// renew renews all messages held, at every interval, until ctx ends. One loop
// for all costs less than a timer for each: most messages are gone before their
// first renewal.
func (l *leases) renew(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var held []jetstream.Msg
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held = l.snapshot(held[:0])
		for _, msg := range held {
			_ = msg.InProgress() // fails for a message just acknowledged, and while the server is away
		}
		clear(held)
	}
}

func (l *leases) snapshot(into []jetstream.Msg) []jetstream.Msg {
	l.mu.Lock()
	defer l.mu.Unlock()
	for msg := range l.held {
		into = append(into, msg)
	}
	return into
}
