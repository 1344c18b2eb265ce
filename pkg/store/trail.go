package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

const stepsSQL = `
SELECT ` + trailStart + `, s.input, s.input_hash, s.output, ` + stepEnd + `
  FROM requests r JOIN steps s ON s.request_id = r.id
 WHERE r.id = @id AND r.tenant = @tenant AND r.stored
 ORDER BY s.turn, s.idx`

// Steps returns the audit trail of a tenant's request. It is empty while the
// request is queued, and if there is no such request or it is not stored.
func (s *Store) Steps(ctx context.Context, tenant string, id uuid.UUID) ([]run.Step, error) {
	steps, err := postgres.Query(ctx, s.db, stepsSQL, postgres.Args{"id": id, "tenant": tenant}, scanStep)
	if err != nil {
		return nil, fmt.Errorf("read the steps of %s: %w", id, err)
	}
	return steps, nil
}

const callSQL = `
SELECT ` + trailStart + `, NULL::bytea, NULL::bytea, NULL::bytea, ` + stepEnd + `
  FROM requests r JOIN steps s ON s.request_id = r.id
 WHERE r.id = @id AND r.tenant = @tenant AND r.endpoint <> 'responses'
 ORDER BY s.turn, s.idx`

// Call returns the audit trail of a tenant's request that is one model call,
// stored or not, without its content: input, its hash and output are nil. It is
// empty while the request is queued, and if there is no such request.
func (s *Store) Call(ctx context.Context, tenant string, id uuid.UUID) ([]run.Step, error) {
	steps, err := postgres.Query(ctx, s.db, callSQL, postgres.Args{"id": id, "tenant": tenant}, scanStep)
	if err != nil {
		return nil, fmt.Errorf("read the call of %s: %w", id, err)
	}
	return steps, nil
}
