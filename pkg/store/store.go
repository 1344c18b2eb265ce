package store

import (
	"sync"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Store is safe for concurrent use. It holds no state but its pool, the calls that wait for a shared statement, and the names of
// tenants whose budgets it has seen to.
type Store struct {
	db      *postgres.DB
	budgets sync.Map // tenant → struct{}
	accepts *batch.Queue[NewRequest, outcome]
	turns   *batch.Queue[TurnCommit, bool]
	settles *batch.Queue[Settlement, bool]
	answers *batch.Queue[lookup, *Answer]
	loads   *batch.Queue[uuid.UUID, *Chain]
	keys    *batch.Queue[string, *Key]
	seen    *batch.Queue[seenKey, *Seen]
}

// New returns a store on the pool, which the caller closes.
func New(db *postgres.DB) *Store {
	s := &Store{db: db}
	s.accepts = batch.New(2, 256, s.acceptAll)
	s.turns = batch.New(2, 128, s.commitTurns)
	s.settles = batch.New(2, 128, s.settleAll)
	s.answers = batch.New(1, 512, s.lookupAll)
	s.loads = batch.New(2, 32, s.loadAll)  // few: a chain may hold megabytes
	s.keys = batch.New(1, 512, s.keysByID) // one: a rush of keys must not take the connections of those that are in
	s.seen = batch.New(1, 512, s.seenAll)
	return s
}
