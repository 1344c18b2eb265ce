package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"windlass.dev/windlass/pkg/store"
	"windlass.dev/windlass/services/gateway/internal/httpapi"
	"windlass.dev/windlass/services/gateway/internal/query"
)

const (
	// keyFresh is how long a key that lives is used without asking again: a revoke is heard of within it.
	keyFresh = 5 * time.Second
	// keyAbsent is how long an id without a living key is refused without asking again.
	keyAbsent = time.Second
	// keyGrace is for how much longer a key is used when the database says nothing about it.
	keyGrace = time.Minute
	// keyImpatience is how long a client whose key is known is kept waiting for a second look at it. It is added to what the
	// request itself may wait for the database.
	keyImpatience = 250 * time.Millisecond
	// keyPause is the least between two looks of which the first found no database.
	keyPause = time.Second
	maxKeys  = 10_000
)

// errKeyUnknown says that there is no living key of that id.
var errKeyUnknown = errors.New("no such key")

// keyring remembers keys for seconds, so that most requests don't ask the database for theirs, and floods don't at all: an id is
// looked up once at a time and once a second, whoever presents it with whatever secret. Safe for concurrent use.
type keyring struct {
	find  func(ctx context.Context, id string) (*store.Key, error)
	tasks *sync.WaitGroup
	log   *zap.Logger

	mu   sync.Mutex
	held map[string]*heldKey
}

// heldKey is what is known of an id. Its fields belong to the ring's lock.
type heldKey struct {
	key    *store.Key // nil: none that lives, or not known yet
	asked  time.Time  // when the look that found it began; zero: none has found anything
	failed time.Time  // when the last look that found no database ended; zero: it did find one
	why    error      // why it ended
	look   chan struct{}
}

func newKeyring(find func(context.Context, string) (*store.Key, error), tasks *sync.WaitGroup, log *zap.Logger) *keyring {
	return &keyring{find: find, tasks: tasks, log: log, held: map[string]*heldKey{}}
}

// key returns the living key of the id. errKeyUnknown: there is none. Any other error: nobody knows.
func (k *keyring) key(ctx context.Context, id string) (*store.Key, error) {
	h, looked, key, err := k.known(id)
	if looked == nil {
		return key, err
	}
	limit := query.Timeout
	if err == nil {
		limit = keyImpatience
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

// known returns what is known of the id, and what to wait for if that is too old.
func (k *keyring) known(id string) (h *heldKey, looked <-chan struct{}, key *store.Key, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if h = k.held[id]; h == nil {
		k.makeRoom()
		h = &heldKey{}
		k.held[id] = h
	}
	if h.look == nil && !h.fresh() && time.Since(h.failed) >= keyPause {
		h.look = make(chan struct{})
		k.tasks.Go(func() { k.lookAt(id, h) })
	}
	key, err = h.verdict()
	return h, h.look, key, err
}

// lookAt outlives its client: others wait for the same word.
func (k *keyring) lookAt(id string, h *heldKey) {
	began := time.Now()
	ctx, cancel := query.WithTimeout(context.Background())
	defer cancel()
	key, err := query.Retry(ctx, k.tasks, func(ctx context.Context) (*store.Key, error) { return k.find(ctx, id) })
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

// verdict is what is to be made of what is known by now. That there was no key is only believed while nobody looks again.
func (h *heldKey) verdict() (*store.Key, error) {
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

// makeRoom drops the one of a few that was asked for longest ago. Waiters of a dropped look still hear of it.
func (k *keyring) makeRoom() {
	if len(k.held) < maxKeys {
		return
	}
	const few = 8
	var oldest string
	var at time.Time
	seen := 0
	for id, h := range k.held { // in random order
		if seen == 0 || h.asked.Before(at) {
			oldest, at = id, h.asked
		}
		if seen++; seen == few {
			break
		}
	}
	delete(k.held, oldest)
}
