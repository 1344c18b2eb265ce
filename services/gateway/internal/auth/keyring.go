package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/pkg/store/keys"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

const (
	// keyFresh is how long an active key is used without another lookup. A
	// revoke is effective within it.
	keyFresh = 5 * time.Second
	// keyAbsent is how long an id without an active key is refused without
	// another lookup.
	keyAbsent = time.Second
	// keyGrace is how much longer a key is used while the database is away.
	keyGrace = time.Minute
	// keyRefreshWait is how long a request with a known key waits for the next
	// lookup of it. It comes on top of the request's own query.Timeout.
	keyRefreshWait = 250 * time.Millisecond
	// keyPause is the least time between two lookups after one that failed.
	keyPause = time.Second
	maxKeys  = 10_000
)

// errKeyUnknown reports that no active key matches.
var errKeyUnknown = errors.New("no such key")

// keyring caches keys for seconds, so that most requests do not read theirs
// from the database and a flood of one id reads it at most once a second.
// Lookups of the same moment are one statement of the store. It is safe for
// concurrent use.
//
// The cache is golang-lru's, without its expirable variant and without
// singleflight: an expired entry is still used while the database is away, each
// entry has one of two lifetimes, a failed lookup is not repeated for a second,
// and an absent key is only believed while no lookup of it runs, which
// singleflight does not report.
type keyring struct {
	read  func(ctx context.Context, id string) (*keys.Key, error)
	tasks *sync.WaitGroup
	log   *zap.Logger

	mu   sync.Mutex
	held *simplelru.LRU[string, *heldKey]
}

// heldKey is what is known of an id. The keyring's lock guards its fields.
type heldKey struct {
	key    *keys.Key     // nil: no active key, or not known yet
	asked  time.Time     // when the last successful lookup began; zero if none was
	failed time.Time     // when the last lookup failed; zero if it succeeded
	why    error         // why it failed
	look   chan struct{} // closed when the running lookup ends; nil if none runs
}

func newKeyring(
	read func(context.Context, string) (*keys.Key, error),
	tasks *sync.WaitGroup,
	log *zap.Logger,
) *keyring {
	held, err := simplelru.NewLRU[string, *heldKey](maxKeys, nil)
	if err != nil {
		panic(err) // the size is positive
	}
	return &keyring{read: read, tasks: tasks, log: log, held: held}
}

// find returns the active key of an id. It returns errKeyUnknown if no active
// key matches; other errors mean that the lookup failed.
func (k *keyring) find(ctx context.Context, id string) (*keys.Key, error) {
	h, looked, key, err := k.known(id)
	if looked == nil {
		return key, err
	}
	limit := query.Timeout
	if err == nil {
		limit = keyRefreshWait
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-looked:
	case <-timer.C:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return h.verdict()
}

// known returns what is known of the id, and the lookup to wait for if that is
// too old.
func (k *keyring) known(id string) (h *heldKey, looked <-chan struct{}, key *keys.Key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ok bool
	if h, ok = k.held.Get(id); !ok {
		h = &heldKey{}
		k.held.Add(id, h) // those who wait for the lookup of the evicted id still get its result
	}
	if h.look == nil && !h.fresh() && time.Since(h.failed) >= keyPause {
		h.look = make(chan struct{})
		k.tasks.Go(func() { k.lookUp(id, h) })
	}
	key, err = h.verdict()
	return h, h.look, key, err
}

// lookUp reads a key. It does not end with the request that began it, because
// others may wait for it.
func (k *keyring) lookUp(id string, h *heldKey) {
	began := time.Now()
	ctx, cancel := query.WithTimeout(context.Background())
	defer cancel()
	key, err := query.Retry(ctx, k.tasks, func(ctx context.Context) (*keys.Key, error) { return k.read(ctx, id) })
	k.mu.Lock()
	defer k.mu.Unlock()
	defer func() { close(h.look); h.look = nil }()
	switch {
	case err == nil && key.State() == "active":
		h.key, h.asked, h.failed = key, began, time.Time{}
	case err == nil || errors.Is(err, store.ErrNotFound):
		h.key, h.asked, h.failed = nil, began, time.Time{}
	default:
		if h.failed.IsZero() && !httpapi.Unavailable(err) { // the store logs an outage
			k.log.Error("key not looked up", zap.Error(err))
		}
		h.failed, h.why = time.Now(), err
	}
}

// verdict returns the key or the error that follows from what is known. An
// absent key is only believed while no lookup runs.
func (h *heldKey) verdict() (*keys.Key, error) {
	age := time.Since(h.asked)
	switch {
	case h.key != nil && age >= h.key.Remaining:
		return nil, errKeyUnknown
	case h.key != nil && age < keyFresh+keyGrace:
		return h.key, nil
	case h.key == nil && !h.asked.IsZero() && h.failed.IsZero() && h.look == nil:
		return nil, errKeyUnknown
	}
	if !h.failed.IsZero() && !httpapi.Unavailable(h.why) {
		return nil, h.why
	}
	return nil, query.ErrTimeout
}

func (h *heldKey) fresh() bool {
	if h.key == nil {
		return time.Since(h.asked) < keyAbsent
	}
	return time.Since(h.asked) < keyFresh
}
