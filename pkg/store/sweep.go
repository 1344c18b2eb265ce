package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

const overdueSQL = `
SELECT ` + rowColumns + `
  FROM requests r WHERE r.live AND r.check_at <= now() ORDER BY r.check_at LIMIT @n`

const openStepsSQL = `
SELECT s.request_id, ` + stepColumns + `, extract(epoch FROM now() - s.created_at)::float8
  FROM requests r JOIN steps s ON s.request_id = r.id AND s.turn = r.turn AND s.idx > 0 AND s.state = 'dispatched'
 WHERE r.id = ANY (@ids::uuid[]) AND s.request_id = ANY (@ids::uuid[])
 ORDER BY s.request_id, s.idx`

// Overdue returns up to n live rows whose check time has passed, with their
// tool steps. The caller publishes what each needs and then calls Postpone: a
// crash between the two only repeats a publish.
func (s *Store) Overdue(ctx context.Context, n int) ([]run.Row, error) {
	rows, err := postgres.Query(ctx, s.db, overdueSQL, postgres.Args{"n": n}, scanRow)
	if err != nil {
		return nil, fmt.Errorf("read overdue rows: %w", err)
	}
	if err := s.addOpenSteps(ctx, rows); err != nil {
		return nil, err
	}
	return rows, nil
}

const lookSQL = `SELECT ` + rowColumns + ` FROM requests r WHERE r.id = @id`

// Look reads a row, with the tool steps that wait for results. It returns
// ErrNotFound if there is no such row.
func (s *Store) Look(ctx context.Context, id uuid.UUID) (run.Row, error) {
	rows, err := postgres.Query(ctx, s.db, lookSQL, postgres.Args{"id": id}, scanRow)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err == nil {
		err = s.addOpenSteps(ctx, rows)
	}
	if err != nil {
		return run.Row{}, fmt.Errorf("look at request %s: %w", id, err)
	}
	return rows[0], nil
}

func (s *Store) addOpenSteps(ctx context.Context, rows []run.Row) error {
	at := make(map[uuid.UUID]int)
	for i, r := range rows {
		if r.Status == run.InProgress && r.Stage == run.StageTools {
			at[r.ID] = i
		}
	}
	if len(at) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(at))
	for id := range at {
		ids = append(ids, id)
	}
	a := postgres.Args{"ids": ids}
	_, err := postgres.Query(ctx, s.db, openStepsSQL, a, func(r pgx.CollectableRow) (struct{}, error) {
		var id uuid.UUID
		var step run.Step
		var dueIn, age float64
		var took int64
		targets := append([]any{&id}, stepTargets(&step, &dueIn, &took)...)
		if err := r.Scan(append(targets, &age)...); err != nil {
			return struct{}{}, err
		}
		step.DueIn, step.Age = postgres.Duration(dueIn), postgres.Duration(age)
		rows[at[id]].Steps = append(rows[at[id]].Steps, step)
		return struct{}{}, nil
	})
	if err != nil {
		return fmt.Errorf("read open steps: %w", err)
	}
	return nil
}

// The wait doubles with the time since the row last changed, from 4 to 30
// seconds, and ends earlier if a parked turn or step is due. The statement
// reads the parked steps itself, because one may have been parked since the
// caller read the row. Rows that are being written are skipped; they stay
// overdue.
const postponeSQL = `
WITH locked AS (
  SELECT r.id
    FROM unnest(@ids::uuid[], @epochs::int[], @turns::int[], @attempts::int[], @stages::text[])
      AS p(id, epoch, turn, attempt, stage)
    JOIN requests r ON r.id = p.id
   WHERE r.id = ANY (@ids::uuid[]) AND r.live AND r.check_at <= now()
     AND r.epoch = p.epoch AND r.turn = p.turn AND r.attempt = p.attempt AND r.stage = p.stage
   ORDER BY r.id FOR UPDATE OF r SKIP LOCKED)
UPDATE requests r
   SET check_at = LEAST(
         now() + LEAST(GREATEST(now() - r.changed_at, interval '4 seconds'), interval '30 seconds'),
         CASE WHEN r.not_before > now() THEN r.not_before END,
         (SELECT min(s.not_before) FROM steps s
           WHERE s.request_id = r.id AND s.turn = r.turn AND s.state = 'dispatched' AND s.not_before > now()))
 WHERE r.id = ANY (ARRAY(SELECT id FROM locked))`

// Postpone sets the next check of rows after their messages were published.
// Rows that have moved on keep their own check time.
func (s *Store) Postpone(ctx context.Context, rows []run.Row) error {
	_, err := s.db.Exec(ctx, postponeSQL, postgres.Args{
		"ids":      postgres.IDs(rows, func(r run.Row) uuid.UUID { return r.ID }),
		"epochs":   postgres.Column(rows, func(r run.Row) int { return r.Epoch }),
		"turns":    postgres.Column(rows, func(r run.Row) int { return r.Turn }),
		"attempts": postgres.Column(rows, func(r run.Row) int { return r.Attempt }),
		"stages":   postgres.Column(rows, func(r run.Row) string { return string(r.Stage) }),
	})
	if err != nil {
		return fmt.Errorf("postpone %d rows: %w", len(rows), err)
	}
	return nil
}

const makeAllDueSQL = `
WITH locked AS (SELECT id FROM requests WHERE live AND check_at > now() ORDER BY id FOR UPDATE)
UPDATE requests SET check_at = now() WHERE id = ANY (ARRAY(SELECT id FROM locked))`

// MakeAllDue makes every live row due at once, after a stream was lost. It
// returns how many it changed.
func (s *Store) MakeAllDue(ctx context.Context) (int64, error) {
	n, err := s.db.Exec(ctx, makeAllDueSQL, nil)
	if err != nil {
		return 0, fmt.Errorf("make every live row due: %w", err)
	}
	return n, nil
}

const pastDeadlineSQL = `
(SELECT id FROM requests WHERE live AND status = 'in_progress' AND stage <> 'settle' AND deadline <= now() LIMIT @n)
UNION ALL
(SELECT id FROM requests WHERE status = 'queued' AND deadline <= now() ORDER BY deadline LIMIT @n)`

// PastDeadline returns requests past their deadline, except those whose outcome
// is decided. The caller settles each as Expired.
func (s *Store) PastDeadline(ctx context.Context, n int) ([]uuid.UUID, error) {
	ids, err := postgres.Query(ctx, s.db, pastDeadlineSQL, postgres.Args{"n": n}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("read requests past their deadline: %w", err)
	}
	return ids, nil
}

// OldestLiveAge returns how long ago the oldest live request was accepted, or 0
// if no request is live. Older tool results are obsolete.
func (s *Store) OldestLiveAge(ctx context.Context) (time.Duration, error) {
	const sql = `
SELECT COALESCE(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM requests WHERE live`
	age, err := postgres.Query(ctx, s.db, sql, nil, pgx.RowTo[float64])
	if err != nil {
		return 0, fmt.Errorf("read the oldest live request: %w", err)
	}
	return postgres.Duration(age[0]), nil
}
