package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

const deleteSQL = `
WITH gone AS (
  DELETE FROM requests
   WHERE id = @id AND tenant = @tenant AND stored AND status NOT IN ('queued', 'in_progress')
  RETURNING id),
no_steps AS (
  DELETE FROM steps WHERE request_id = ANY (ARRAY(SELECT id FROM gone))),
no_bodies AS (
  DELETE FROM bodies WHERE request_id = ANY (ARRAY(SELECT id FROM gone))),
no_labels AS (
  DELETE FROM labels WHERE request_id = ANY (ARRAY(SELECT id FROM gone)))
SELECT id FROM gone`

// Delete takes a terminal request of a tenant away with all its payloads. Requests that continue it stay; they and what was to
// continue them have lost their history. ErrStale: the tenant has no such request, or it is not terminal, or not stored.
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	gone, err := postgres.Query(ctx, s.db, deleteSQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[uuid.UUID])
	if err == nil && len(gone) == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("delete request %s: %w", id, err)
	}
	return nil
}

const bodySQL = `
SELECT b.data
  FROM requests r JOIN bodies b ON b.request_id = r.id AND b.kind = 'request'
 WHERE r.id = @id AND r.tenant = @tenant AND r.stored`

// Body reads a request of a tenant as it was accepted. ErrNotFound: the tenant has no such request, or it is not stored.
func (s *Store) Body(ctx context.Context, tenant string, id uuid.UUID) ([]byte, error) {
	found, err := postgres.Query(ctx, s.db, bodySQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[[]byte])
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the body of %s: %w", id, err)
	}
	return found[0], nil
}
