package answers

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

const bodySQL = `
SELECT b.data
  FROM requests r JOIN bodies b ON b.request_id = r.id AND b.kind = 'request'
 WHERE r.id = @id AND r.tenant = @tenant AND r.stored`

// Body returns a request of a tenant as it was accepted. It returns ErrNotFound
// if the tenant has no such request, or it is not stored.
func (s *Store) Body(ctx context.Context, tenant string, id uuid.UUID) ([]byte, error) {
	data, err := postgres.QueryOne(ctx, s.db, bodySQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("read the body of %s: %w", id, err)
	}
	return data, nil
}

const eventsSQL = `
SELECT b.data
  FROM requests r JOIN bodies b ON b.request_id = r.id AND b.kind = 'events'
 WHERE r.id = @id AND r.tenant = @tenant`

// Events returns the archived events of a tenant's request. It returns
// ErrNotFound if no archive exists.
func (s *Store) Events(ctx context.Context, tenant string, id uuid.UUID) ([]byte, error) {
	data, err := postgres.QueryOne(ctx, s.db, eventsSQL, postgres.Args{"id": id, "tenant": tenant}, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("read the events of %s: %w", id, err)
	}
	return data, nil
}
