package retention

import (
	"context"
	"errors"
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

// Delete deletes a terminal request of a tenant with all its payloads. Requests
// that continue it stay, and lose their history. It returns ErrStale if the
// tenant has no such request, or the request is not terminal, or not stored.
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	_, err := postgres.QueryOne(ctx, s.db, deleteSQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[uuid.UUID])
	if errors.Is(err, postgres.ErrNotFound) {
		err = postgres.ErrStale
	}
	if err != nil {
		return fmt.Errorf("delete request %s: %w", id, err)
	}
	return nil
}
