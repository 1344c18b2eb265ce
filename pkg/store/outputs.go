package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// The join with requests leaves out other tenants' turns, because a client may
// put any id into an item.
const turnOutputsSQL = `
SELECT s.request_id, s.turn, s.output
  FROM unnest(@requests::uuid[], @turns::integer[]) k (request_id, turn)
  JOIN requests r ON r.id = k.request_id AND r.tenant = @tenant
  JOIN steps s ON s.request_id = k.request_id AND s.turn = k.turn AND s.idx = 0
 WHERE r.id = ANY (@requests::uuid[]) AND s.request_id = ANY (@requests::uuid[])
   AND s.state = 'done' AND position(@part IN s.output) > 0`

// TurnOutputs returns the model steps' outputs of turns that contain part. It
// leaves out unknown turns, those of deleted responses and those of other
// tenants.
func (s *Store) TurnOutputs(
	ctx context.Context, tenant string, turns []run.TurnKey, part []byte,
) (map[run.TurnKey][]byte, error) {
	requests, numbers := make([]uuid.UUID, len(turns)), make([]int, len(turns))
	for i, t := range turns {
		requests[i], numbers[i] = t.Request, t.Turn
	}
	type row struct {
		run.TurnKey
		output []byte
	}
	a := postgres.Args{"requests": requests, "turns": numbers, "tenant": tenant, "part": part}
	rows, err := postgres.Query(ctx, s.db, turnOutputsSQL, a, func(from pgx.CollectableRow) (r row, err error) {
		return r, from.Scan(&r.Request, &r.Turn, &r.output)
	})
	if err != nil {
		return nil, fmt.Errorf("read %d recorded turns: %w", len(turns), err)
	}
	all := make(map[run.TurnKey][]byte, len(rows))
	for _, r := range rows {
		all[r.TurnKey] = r.output
	}
	return all, nil
}
