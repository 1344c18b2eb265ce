package answers

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Store reads requests for clients. It is safe for concurrent use.
type Store struct {
	db    *postgres.DB
	reads *batch.Queue[lookup, *Answer]
}

// New returns a store on the pool.
func New(db *postgres.DB) *Store {
	s := &Store{db: db}
	s.reads = batch.New(1, 512, s.readAll)
	return s
}

// Answer is a request as a client sees it.
type Answer struct {
	ID         uuid.UUID
	Tenant     string
	Endpoint   run.Endpoint
	Status     run.Status
	Reason     string
	Background bool
	Stored     bool // else postgres.NilID may read it but who waits for it
	Streamed   bool // its events are on the bus or archived
	Live       bool // it is not terminal, or its after-work is not finished
	Erased     bool // its payloads were deleted: it has neither Body nor Final
	CreatedAt  time.Time
	FinishedAt *time.Time
	Body       []byte // the request as accepted; nil if Final is set or the request is one model call
	// Final is the final object; nil before the end, and for cancelled and
	// expired requests. For a request that is one model call it is that step's
	// output, or its error if the request failed: an answer that is passed
	// through is not stored twice.
	Final []byte
}

type lookup struct {
	id     uuid.UUID
	tenant string
}

const readSQL = `
SELECT w.ord, r.id, r.tenant, r.endpoint, r.status, COALESCE(r.reason, ''), r.background, r.stored,
       r.streamed, r.live OR r.status = 'queued', r.erased, r.created_at, r.finished_at,
       CASE WHEN a.data IS NULL AND r.endpoint = 'responses' THEN b.data END,
       CASE WHEN r.endpoint = 'responses' THEN a.data
            WHEN r.status IN ('completed', 'failed') THEN (
              SELECT COALESCE(s.output, s.error) FROM steps s
               WHERE s.request_id = r.id AND s.request_id = ANY (@ids::uuid[]) AND s.turn = 1 AND s.idx = 0) END
  FROM unnest(@ids::uuid[], @tenants::text[]) WITH ORDINALITY AS w(id, tenant, ord)
  JOIN requests r ON r.id = w.id AND r.tenant = w.tenant
  LEFT JOIN bodies b ON b.request_id = r.id AND b.kind = 'request'
  LEFT JOIN bodies a ON a.request_id = r.id AND a.kind = 'answer'
 WHERE r.id = ANY (@ids::uuid[])`

// Read returns a request of a tenant, in a statement shared with concurrent
// reads. It returns ErrNotFound if the tenant has no such request.
func (s *Store) Read(ctx context.Context, tenant string, id uuid.UUID) (*Answer, error) {
	a, err := s.reads.Do(ctx, lookup{id: id, tenant: tenant})
	if err == nil && a == nil {
		err = postgres.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read request %s: %w", id, err)
	}
	return a, nil
}

func (s *Store) readAll(ctx context.Context, all []lookup) ([]*Answer, error) {
	rows, err := s.db.Send(ctx, readSQL, postgres.Args{
		"ids":     postgres.IDs(all, func(l lookup) uuid.UUID { return l.id }),
		"tenants": postgres.Column(all, func(l lookup) string { return l.tenant }),
	})
	if err != nil {
		return nil, err
	}
	out := make([]*Answer, len(all))
	var place int64
	var a Answer
	_, err = pgx.ForEachRow(rows, []any{
		&place, &a.ID, &a.Tenant, &a.Endpoint, &a.Status, &a.Reason, &a.Background, &a.Stored, &a.Streamed, &a.Live,
		&a.Erased, &a.CreatedAt, &a.FinishedAt, &a.Body, &a.Final,
	}, func() error {
		found := a
		out[place-1] = &found
		return nil
	})
	return out, err
}

const finishedSQL = `
SELECT id FROM requests WHERE id = ANY (@ids::uuid[]) AND finished_at IS NOT NULL`

// Finished returns those of the requests that are terminal. A gateway polls
// once for all calls that wait.
func (s *Store) Finished(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	done, err := postgres.Query(ctx, s.db, finishedSQL, postgres.Args{"ids": ids}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("poll %d waiting requests: %w", len(ids), err)
	}
	return done, nil
}
