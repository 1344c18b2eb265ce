package wait

import (
	"sync"
	"time"

	"github.com/google/uuid"
)

const (
	// acceptLimit is how long an accept that the gateway gave up may still be
	// on its way: the statement timeout and a little.
	acceptLimit = 6 * time.Second
	// maxUncancelled bounds what an outage leaves behind. Requests beyond it
	// run to their end, though no client waits for them.
	maxUncancelled  = 10_000
	cancelledAtOnce = 100
)

// uncancelled are requests without a client whose cancel is not committed yet:
// accepts of unknown outcome, and requests whose clients hung up while the
// database was away. It is safe for concurrent use.
type uncancelled struct {
	mu  sync.Mutex
	all map[uuid.UUID]abandoned
}

// abandoned is a request without a client.
type abandoned struct {
	id     uuid.UUID
	tenant string
	since  time.Time
}

func newUncancelled() *uncancelled { return &uncancelled{all: map[uuid.UUID]abandoned{}} }

func (u *uncancelled) add(tenant string, id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.all) < maxUncancelled {
		u.all[id] = abandoned{id, tenant, time.Now()}
	}
}

func (u *uncancelled) drop(id uuid.UUID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, id)
}

// due returns some of those whose accept can no longer be on its way.
func (u *uncancelled) due() []abandoned {
	u.mu.Lock()
	defer u.mu.Unlock()
	var due []abandoned
	for _, one := range u.all {
		if time.Since(one.since) >= acceptLimit && len(due) < cancelledAtOnce {
			due = append(due, one)
		}
	}
	return due
}
