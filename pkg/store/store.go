package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where the database is and how many connections one service may hold.
type Config struct {
	URL string `env:"WINDLASS_DATABASE_URL"`
	// MaxConns bounds the pool. All services together should stay at or below 4 × the database's cores.
	MaxConns int32 `env:"WINDLASS_DATABASE_CONNS, default=4"`
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	if c.URL == "" {
		errs = append(errs, errors.New("WINDLASS_DATABASE_URL is empty"))
	}
	if c.MaxConns < 1 {
		errs = append(errs, fmt.Errorf("WINDLASS_DATABASE_CONNS is %d, want at least 1", c.MaxConns))
	}
	return errors.Join(errs...)
}

// Store is safe for concurrent use. It holds no state but its pool, the calls that wait for a shared statement, and the names of
// tenants whose budgets it has seen to.
type Store struct {
	pool    *pgxpool.Pool
	budgets sync.Map // tenant → struct{}
	accepts *group[NewRequest, outcome]
	turns   *group[TurnCommit, bool]
	settles *group[Settlement, bool]
	answers *group[lookup, *Answer]
	loads   *group[uuid.UUID, *Chain]
	keys    *group[string, *Key]
	seen    *group[seenKey, *Seen]
}

// Open makes the pool; it does not wait for the database, so that a service starts while Postgres is away.
func Open(cfg Config) (*Store, error) {
	pc, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parse the database url: %w", err)
	}
	pc.MaxConns = cfg.MaxConns
	pc.MaxConnLifetime, pc.MaxConnLifetimeJitter = time.Hour, 10*time.Minute
	pc.HealthCheckPeriod = 15 * time.Second
	pc.ConnConfig.ConnectTimeout = 3 * time.Second
	params := pc.ConnConfig.RuntimeParams
	params["application_name"] = "windlass"
	params["statement_timeout"] = "5000"
	params["lock_timeout"] = "2000"
	params["idle_in_transaction_session_timeout"] = "10000"
	params["synchronous_commit"] = "on"
	// Most statements are cheap by plan; generic plans are what makes repeated ones cheap to plan as well, and the JIT
	// would compile for longer than they run.
	params["plan_cache_mode"] = "force_generic_plan"
	params["jit"] = "off"
	// A plan made while a table was nearly empty must not read it whole once it has grown, by a scan of the table or of an index
	// that has the wrong order. Sorts of a statement's own few rows are still made.
	params["enable_seqscan"], params["enable_sort"] = "off", "off"
	pool, err := pgxpool.NewWithConfig(context.Background(), pc)
	if err != nil {
		return nil, fmt.Errorf("make the database pool: %w", err)
	}
	s := &Store{pool: pool}
	s.accepts = newGroup(2, 256, s.acceptAll)
	s.turns = newGroup(2, 128, s.commitTurns)
	s.settles = newGroup(2, 128, s.settleAll)
	s.answers = newGroup(1, 512, s.lookupAll)
	s.loads = newGroup(2, 32, s.loadAll)  // few: a chain may hold megabytes
	s.keys = newGroup(1, 512, s.keysByID) // one: a rush of keys must not take the connections of those that are in
	s.seen = newGroup(1, 512, s.seenAll)
	return s, nil
}

// Close waits for statements on their way and closes the pool.
func (s *Store) Close() { s.pool.Close() }

// Ping asks the database for an answer; for readiness.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.pool.Ping(ctx); err != nil {
		return fmt.Errorf("ping the database: %w", err)
	}
	return nil
}

// query bounds one statement and collects its rows.
func query[T any](ctx context.Context, s *Store, sql string, a args, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, context.DeadlineExceeded)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, a)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
