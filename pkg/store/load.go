package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// The body comes with the first turn's model step, which every claimed row has,
// so that it is sent once.
const loadChainSQL = `
SELECT ` + rowColumns + `, b.data, ` + stepColumns + `
  FROM requests r
  JOIN steps s ON s.request_id = r.id
  LEFT JOIN bodies b ON b.request_id = r.id AND b.kind = 'request' AND s.turn = 1 AND s.idx = 0
                    AND b.request_id = ANY (@ids::uuid[])
 WHERE r.id = ANY (@ids::uuid[]) AND s.request_id = ANY (@ids::uuid[])
 ORDER BY r.id, s.turn, s.idx`

// Load reads a claimed request with its chain, in a statement shared with
// concurrent loads. It returns ErrNotFound if the request was deleted or never
// claimed.
func (s *Store) Load(ctx context.Context, id uuid.UUID) (run.Chain, error) {
	chain, err := s.loads.Do(ctx, id)
	if err == nil && chain == nil {
		err = ErrNotFound
	}
	if err != nil {
		return run.Chain{}, fmt.Errorf("load request %s: %w", id, err)
	}
	return *chain, nil
}

func (s *Store) loadAll(ctx context.Context, all []uuid.UUID) ([]*run.Chain, error) {
	ids := postgres.IDs(all, func(id uuid.UUID) uuid.UUID { return id })
	rows, err := s.db.Send(ctx, loadChainSQL, postgres.Args{"ids": ids})
	if err != nil {
		return nil, err
	}
	chains, err := collectChains(rows)
	if err != nil {
		return nil, err
	}
	return postgres.Column(all, func(id uuid.UUID) *run.Chain { return chains[id] }), nil
}

// collectChains reads the rows of statements with the columns of loadChainSQL.
func collectChains(rows pgx.Rows) (map[uuid.UUID]*run.Chain, error) {
	chains := make(map[uuid.UUID]*run.Chain)
	var row run.Row
	var step run.Step
	var body []byte
	var dueIn, remaining, age, stepDueIn float64
	var took int64
	targets := append(rowTargets(&row, &dueIn, &remaining, &age), &body)
	targets = append(targets, stepTargets(&step, &stepDueIn, &took)...)
	_, err := pgx.ForEachRow(rows, targets, func() error {
		chain := chains[row.ID]
		if chain == nil {
			chain = &run.Chain{Row: row}
			chain.DueIn, chain.Remaining = postgres.Duration(dueIn), postgres.Duration(remaining)
			chain.Age = postgres.Duration(age)
			chains[row.ID] = chain
		}
		if body != nil {
			chain.Body = body
		}
		step.DueIn, step.Took = postgres.Duration(stepDueIn), time.Duration(took)*time.Microsecond
		chain.Steps = append(chain.Steps, step)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, chain := range chains {
		chain.Row.Steps = chain.Dispatched()
	}
	return chains, nil
}

const raiseSQL = `
UPDATE requests r
   SET attempt = r.attempt + 1,
       crashes = CASE WHEN @proven THEN GREATEST(r.crashes, @suspect) + 1
                      WHEN @suspected THEN GREATEST(r.crashes, LEAST(r.crashes + 1, @suspect)) ELSE r.crashes END,
       not_before = CASE WHEN @wait::float8 > 0 THEN now() + make_interval(secs => @wait) END,
       changed_at = now(),
       check_at = CASE WHEN @wait::float8 > 0 THEN now() + make_interval(secs => @wait)
                       ELSE now() + interval '4 seconds' END
 WHERE r.id = @id AND r.status = 'in_progress' AND r.stage = 'model'
   AND r.epoch = @epoch AND r.turn = @turn AND r.attempt = @attempt
RETURNING ` + rowColumns

// Raise gives a turn a new attempt, so that a worker of the old one can commit
// nothing. A worker calls it first for a turn that another worker may have.
// blame says what the end of the old attempt proves; see run.Row.Crashes. The
// caller publishes the row's new command and ends: the message in flight always
// carries the row's attempt. After a wait the sweep publishes it instead. Raise
// returns ErrStale if the turn has moved on.
func (s *Store) Raise(ctx context.Context, f run.Fence, blame run.Blame, wait time.Duration) (run.Row, error) {
	return s.fenced(ctx, "raise the attempt of", raiseSQL, f, postgres.Args{
		"proven": blame == run.Proven, "suspected": blame == run.Suspected, "suspect": run.SuspectCrashes,
		"wait": wait.Seconds(),
	})
}

const raiseToolsSQL = `
WITH r AS (
  UPDATE requests
     SET changed_at = now(), check_at = now() + interval '4 seconds'
   WHERE id = @id AND status = 'in_progress' AND stage = 'tools' AND epoch = @epoch AND turn = @turn
  RETURNING id, turn)
UPDATE steps s SET attempt = s.attempt + 1, counted = 0
  FROM r
 WHERE s.request_id = r.id AND s.request_id = @id AND s.turn = r.turn AND s.idx > 0 AND s.state = 'dispatched'
   AND (s.not_before IS NULL OR s.not_before <= now())
RETURNING s.idx`

// RaiseTools gives every due tool call of the turn a new attempt, for calls
// whose messages the bus lost: a worker of an old attempt can commit nothing.
// It returns ErrStale if the turn is over or none of its calls is due.
func (s *Store) RaiseTools(ctx context.Context, r run.Row) error {
	a := postgres.Args{"id": r.ID, "epoch": r.Epoch, "turn": r.Turn}
	raised, err := postgres.Query(ctx, s.db, raiseToolsSQL, a, pgx.RowTo[int])
	if err == nil && len(raised) == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("raise the tool calls of %s: %w", uuid.UUID(r.ID), err)
	}
	return nil
}

const callLostSQL = `
UPDATE steps s SET lost = s.lost + @n - s.counted, counted = @n
 WHERE s.request_id = @id AND s.turn = @turn AND s.idx = @idx AND s.attempt = @attempt AND s.state = 'dispatched'
     AND s.counted < @n`

// CallsLost records for the audit trail that n calls of a tool step's attempt
// ended without a result. A lower count than the last one changes nothing. The
// fence's attempt is the step's.
func (s *Store) CallsLost(ctx context.Context, f run.Fence, index, n int) error {
	ctx, cancel := context.WithTimeout(ctx, postgres.StatementTimeout)
	defer cancel()
	a := postgres.Args{"id": f.ID, "turn": f.Turn, "idx": index, "attempt": f.Attempt, "n": n}
	_, err := s.db.Exec(ctx, callLostSQL, a)
	if err != nil {
		return fmt.Errorf("count the lost calls of %s: %w", uuid.UUID(f.ID), err)
	}
	return nil
}

const retryTurnSQL = `
WITH r AS (
  UPDATE requests r
     SET attempt = r.attempt + 1, failures = r.failures + 1, changed_at = now(),
         not_before = now() + make_interval(secs => @wait), check_at = now() + make_interval(secs => @wait)
   WHERE r.id = @id AND r.status = 'in_progress' AND r.stage = 'model'
     AND r.epoch = @epoch AND r.turn = @turn AND r.attempt = @attempt
  RETURNING *),
noted AS (
  UPDATE steps s SET error = @error, attempt = r.attempt
    FROM r WHERE s.request_id = @id AND s.turn = @turn AND s.idx = 0)
SELECT ` + rowColumns + ` FROM r`

// RetryTurn records a failed attempt of the model call and parks the turn: the
// sweep publishes the next attempt after wait. cause is stored as JSON in the
// step. It returns ErrStale if the turn has moved on.
func (s *Store) RetryTurn(ctx context.Context, f run.Fence, wait time.Duration, cause any) (run.Row, error) {
	note, err := json.Marshal(cause)
	if err != nil {
		return run.Row{}, fmt.Errorf("encode the failure of %s: %w", uuid.UUID(f.ID), err)
	}
	return s.fenced(ctx, "retry the turn of", retryTurnSQL, f, postgres.Args{"wait": wait.Seconds(), "error": note})
}

func (s *Store) fenced(ctx context.Context, what, sql string, f run.Fence, a postgres.Args) (run.Row, error) {
	a["id"], a["epoch"], a["turn"], a["attempt"] = uuid.UUID(f.ID), f.Epoch, f.Turn, f.Attempt
	rows, err := postgres.Query(ctx, s.db, sql, a, scanRow)
	if err == nil && len(rows) == 0 {
		err = ErrStale
	}
	if err != nil {
		return run.Row{}, fmt.Errorf("%s %s: %w", what, uuid.UUID(f.ID), err)
	}
	return rows[0], nil
}
