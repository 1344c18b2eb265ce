package store

import (
	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
)

// The errors of the layer below, for callers that need no more of it.
var (
	// ErrStale is [postgres.ErrStale].
	ErrStale = postgres.ErrStale
	// ErrNotFound is [postgres.ErrNotFound].
	ErrNotFound = postgres.ErrNotFound
)

// Store reads and writes runs. It is safe for concurrent use.
type Store struct {
	db      *postgres.DB
	budgets *limits.Budgets
	accepts *batch.Queue[NewRequest, outcome]
	turns   *batch.Queue[run.TurnCommit, bool]
	settles *batch.Queue[Settlement, bool]
	loads   *batch.Queue[uuid.UUID, *run.Chain]
}

// New returns a store on the pool, which the caller closes.
func New(db *postgres.DB) *Store {
	s := &Store{db: db, budgets: limits.New(db)}
	s.accepts = batch.New(2, 256, s.acceptAll)
	s.turns = batch.New(2, 128, s.commitTurns)
	s.settles = batch.New(2, 128, s.settleAll)
	s.loads = batch.New(2, 32, s.loadAll) // few, because a chain may have megabytes
	return s
}
