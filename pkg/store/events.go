package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

const archiveSQL = `
WITH finished AS (
  UPDATE requests SET live = false, check_at = NULL
   WHERE id = @id AND live AND status NOT IN ('queued', 'in_progress')
  RETURNING id)
INSERT INTO bodies (request_id, kind, data)
SELECT id, 'events', @events::bytea FROM finished
ON CONFLICT DO NOTHING`

// Archive keeps the events of a terminal request that was streamed, and ends its after-work as Finish does. The first archive stays;
// repeating it is harmless.
func (s *Store) Archive(ctx context.Context, id uuid.UUID, events []byte) error {
	if _, err := s.db.Exec(ctx, archiveSQL, postgres.Args{"id": id, "events": events}); err != nil {
		return fmt.Errorf("archive the events of %s: %w", id, err)
	}
	return nil
}

const eventsSQL = `
SELECT b.data
  FROM requests r JOIN bodies b ON b.request_id = r.id AND b.kind = 'events'
 WHERE r.id = @id AND r.tenant = @tenant`

// Events reads the archived events of a tenant's request. ErrNotFound: there are none.
func (s *Store) Events(ctx context.Context, tenant string, id uuid.UUID) ([]byte, error) {
	found, err := postgres.Query(ctx, s.db, eventsSQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[[]byte])
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read the events of %s: %w", id, err)
	}
	return found[0], nil
}
