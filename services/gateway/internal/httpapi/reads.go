package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"windlass.dev/windlass/pkg/responses/fault"
)

const (
	// readsOfKey bounds the reads of one key that are in the database at the
	// same time. A hundred of large responses took all connections, and other
	// tenants got 503.
	readsOfKey = 3
	// readWait is how long a read waits for its turn.
	readWait = 2 * time.Second
	// leastRead is charged before it is known what a read finds, so that a key
	// without memory costs the database nothing.
	leastRead = 512 << 10
)

// reads are the reads in flight, by key. It is safe for concurrent use.
type reads struct {
	mu   sync.Mutex
	keys map[readKey]*turns
}

type readKey struct{ tenant, key string }

// turns are the turns of one key.
type turns struct {
	free  chan struct{} // holds one value per read in flight
	users int           // exchanges that have it; guarded by reads.mu
}

// BoundReads runs a handler that reads payloads when it is the turn of its key.
// The turn ends with ChargeRead, EndRead or the handler.
func (a *API) BoundReads(h Handler) Handler {
	return func(x *Exchange, r *http.Request) error {
		if err := x.beginRead(r.Context()); err != nil {
			return err
		}
		defer x.EndRead()
		return h(x, r)
	}
}

func (x *Exchange) beginRead(ctx context.Context) error {
	key := readKey{x.Who.Tenant, x.Who.KeyID}
	t := x.api.reads.open(key)
	late := time.NewTimer(readWait)
	defer late.Stop()
	select {
	case t.free <- struct{}{}:
	case <-late.C:
		x.api.reads.close(key, t)
		return tooManyReads()
	case <-ctx.Done():
		x.api.reads.close(key, t)
		return ErrHungUp
	}
	err := x.lease().Grow(leastRead)
	x.endRead = sync.OnceFunc(func() {
		if err == nil {
			x.Memory.Shrink(leastRead)
		}
		<-t.free
		x.api.reads.close(key, t)
	})
	if err != nil {
		x.EndRead()
	}
	return err
}

// EndRead ends the turn of a read. Without one it does nothing.
func (x *Exchange) EndRead() {
	if x.endRead != nil {
		x.endRead()
	}
}

func (r *reads) open(key readKey) *turns {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.keys[key]
	if t == nil {
		t = &turns{free: make(chan struct{}, readsOfKey)}
		r.keys[key] = t
	}
	t.users++
	return t
}

func (r *reads) close(key readKey, t *turns) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(r.keys, key)
	}
}

func tooManyReads() *fault.Error {
	f := fault.RateLimited(
		"Too many reads with this API key wait at the same time. Please try again in a second.", RetryAfter,
	)
	f.Code = "too_many_reads"
	return f
}
