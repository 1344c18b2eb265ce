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

// Answer is a request as a client may see it.
type Answer struct {
	ID         uuid.UUID
	Tenant     string
	Endpoint   run.Endpoint
	Status     Status
	Reason     string
	Background bool
	Stored     bool // else postgres.NilID may read it but who waits for it
	Streamed   bool // its events are on the bus, or archived
	Live       bool // it is not terminal, or its events are not archived yet
	Erased     bool // it is not stored, and its payloads are gone: neither Body nor Final
	CreatedAt  time.Time
	FinishedAt *time.Time
	Body       []byte // the request as accepted; nil when Final is set, and where a request is one model call
	// Final is the final object; nil before the end, and for cancelled and expired requests. Where a request is one model call it is
	// that step's output, or its error if the request failed: an answer that is passed through is not kept twice.
	Final []byte
}

type lookup struct {
	id     uuid.UUID
	tenant string
}

const lookupSQL = `
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

// Answer reads one request of a tenant, in a statement shared with other readers of the same moment. ErrNotFound: the tenant has
// no such request.
func (s *Store) Answer(ctx context.Context, tenant string, id uuid.UUID) (*Answer, error) {
	a, err := s.answers.Do(ctx, lookup{id: id, tenant: tenant})
	if err == nil && a == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read request %s: %w", id, err)
	}
	return a, nil
}

func (s *Store) lookupAll(ctx context.Context, all []lookup) ([]*Answer, error) {
	rows, err := s.db.Send(ctx, lookupSQL, postgres.Args{
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
		&place, &a.ID, &a.Tenant, &a.Endpoint, &a.Status, &a.Reason, &a.Background, &a.Stored, &a.Streamed, &a.Live, &a.Erased, &a.CreatedAt,
		&a.FinishedAt, &a.Body, &a.Final,
	}, func() error {
		found := a
		out[place-1] = &found
		return nil
	})
	return out, err
}

const finishedSQL = `
SELECT id FROM requests WHERE id = ANY (@ids::uuid[]) AND finished_at IS NOT NULL`

// Finished tells which of the requests are terminal: the one poll of a gateway for everybody who waits.
func (s *Store) Finished(ctx context.Context, ids []uuid.UUID) ([]uuid.UUID, error) {
	done, err := postgres.Query(ctx, s.db, finishedSQL, postgres.Args{"ids": ids}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("poll %d waiting requests: %w", len(ids), err)
	}
	return done, nil
}

const stepsSQL = `
SELECT ` + trailStart + `, s.input, s.input_hash, s.output, ` + stepEnd + `
  FROM requests r JOIN steps s ON s.request_id = r.id
 WHERE r.id = @id AND r.tenant = @tenant AND r.stored
 ORDER BY s.turn, s.idx`

// Steps is the audit trail of one request of a tenant; empty while it is queued, and when there is no such request or it is
// not stored.
func (s *Store) Steps(ctx context.Context, tenant string, id uuid.UUID) ([]Step, error) {
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

// Call is the audit trail of a tenant's request that is one model call, stored or not, without what was said: input, its hash and
// output are nil. It is empty while the request is queued, and when there is no such request.
func (s *Store) Call(ctx context.Context, tenant string, id uuid.UUID) ([]Step, error) {
	steps, err := postgres.Query(ctx, s.db, callSQL, postgres.Args{"id": id, "tenant": tenant}, scanStep)
	if err != nil {
		return nil, fmt.Errorf("read the call of %s: %w", id, err)
	}
	return steps, nil
}

const backlogSQL = `SELECT count(*) FROM (SELECT FROM requests WHERE status = 'queued' LIMIT @most) q`

// Backlog counts queued requests, up to most.
func (s *Store) Backlog(ctx context.Context, most int) (int, error) {
	n, err := postgres.Query(ctx, s.db, backlogSQL, postgres.Args{"most": most}, pgx.RowTo[int])
	if err != nil {
		return 0, fmt.Errorf("count the backlog: %w", err)
	}
	return n[0], nil
}
