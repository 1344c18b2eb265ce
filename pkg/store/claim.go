package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Slots is the number of requests of a lane that may be claimed.
type Slots struct {
	Lane string
	Free int
}

// Both index scans of the lateral stop at the limit, so that the cost does not
// depend on the backlog. The update does not repeat status = 'queued', which c
// has checked under its lock: with it the planner may find the rows through the
// whole queue's index. A requeued row continues with its turn.
const claimSQL = `
WITH c AS (
  SELECT q.id
    FROM unnest(@lanes::text[], @free::int[]) AS l(lane, free)
   CROSS JOIN LATERAL (
     SELECT id FROM requests
      WHERE status = 'queued' AND lane = l.lane
      ORDER BY tier, vft, id LIMIT l.free FOR UPDATE SKIP LOCKED) q),
claimed AS (
  UPDATE requests r
     SET status = 'in_progress', live = true, epoch = r.epoch + 1, turn = GREATEST(r.turn, 1), attempt = r.attempt + 1,
         started_at = COALESCE(r.started_at, now()), changed_at = now(), check_at = now() + interval '4 seconds'
   WHERE r.id = ANY (ARRAY(SELECT id FROM c))
  RETURNING ` + rowColumns + `),
opened AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state)
  SELECT id, turn, 0, 'model', model, 'dispatched' FROM claimed
  ON CONFLICT DO NOTHING)
SELECT * FROM claimed`

// Claim moves queued rows to in_progress, by tier and then by virtual finish
// time, within each lane's free slots, and opens their first turn. The caller
// publishes a turn command for each.
func (s *Store) Claim(ctx context.Context, slots []Slots) ([]run.Row, error) {
	claimed, err := postgres.Query(ctx, s.db, claimSQL, postgres.Args{
		"lanes": postgres.Column(slots, func(l Slots) string { return l.Lane }),
		"free":  postgres.Column(slots, func(l Slots) int { return l.Free }),
	}, scanRow)
	if err != nil {
		return nil, fmt.Errorf("claim queued requests: %w", err)
	}
	return claimed, nil
}

const backlogSQL = `SELECT count(*) FROM (SELECT FROM requests WHERE status = 'queued' LIMIT @most) q`

// Backlog counts queued requests, at most to most.
func (s *Store) Backlog(ctx context.Context, most int) (int, error) {
	n, err := postgres.Query(ctx, s.db, backlogSQL, postgres.Args{"most": most}, pgx.RowTo[int])
	if err != nil {
		return 0, fmt.Errorf("count the backlog: %w", err)
	}
	return n[0], nil
}
