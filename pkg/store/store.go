package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"
)

// Config says where the database is and how many connections one service may hold.
type Config struct {
	URL string `env:"WINDLASS_DATABASE_URL"`
	// MaxConns bounds the pool. All services together should stay at or below 4 × the database's cores.
	MaxConns int32 `env:"WINDLASS_DATABASE_CONNS, default=4"`
	// Log is told why connections fail, once for each reason. Nil logs nothing.
	Log *zap.Logger `env:", noinit"`
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
	outage  *outage
	primary *hosts
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
	out := &outage{log: cfg.Log}
	primary := &hosts{outage: out}
	pool, err := openPool(cfg, out, primary)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, outage: out, primary: primary}
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

// Up reports whether the last attempt to connect to the database succeeded, for metrics. Before the first one it is true.
func (s *Store) Up() bool { return s.outage.current() == nil }

// Ping asks the database whether it accepts writes; for readiness. Its error is the server's own reason where the server
// refuses connections.
func (s *Store) Ping(ctx context.Context) error {
	var readOnly string
	err := s.pool.QueryRow(ctx, `SELECT current_setting('transaction_read_only')`, pgx.QueryExecModeExec).Scan(&readOnly)
	if err == nil && readOnly == "on" {
		s.pool.Reset() // it accepted writes when these connections were made
		err = errReadOnly
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		s.pool.Reset() // a server that answers nothing does not answer on the other connections either
	}
	if reason := s.outage.current(); reason != nil {
		return reason
	}
	return fmt.Errorf("ping the database: %w", err)
}

// query bounds one statement and collects its rows.
func query[T any](ctx context.Context, s *Store, sql string, a args, scan pgx.RowToFunc[T]) ([]T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, statementTimeout, context.DeadlineExceeded)
	defer cancel()
	rows, err := s.send(ctx, sql, a)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scan)
}
