package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// MaxAncestors bounds the requests that one request continues, directly and
// indirectly.
const MaxAncestors = 200

// The line of a request: itself and the requests that it continues, newest
// first. It ends at a deleted link.
const lineSQL = `
WITH RECURSIVE line AS (
  SELECT r.id, r.previous, 1 AS generation FROM requests r WHERE r.id = @id AND r.tenant = @tenant
  UNION ALL
  SELECT r.id, r.previous, line.generation + 1
    FROM line CROSS JOIN LATERAL (
      SELECT r.id, r.previous FROM requests r WHERE r.id = line.previous AND r.tenant = @tenant LIMIT 1) r
   WHERE line.generation < @most)`

// Previous is what decides whether a request can be continued.
type Previous struct {
	Status run.Status
	Stored bool
	Final  []byte    // the final object; nil before the end, and for cancelled and expired requests
	Length int       // requests of the line, this one included; at most MaxAncestors + 1
	Gap    uuid.UUID // the deleted request that the oldest one continues; uuid.Nil: none is missing
	Bytes  int64     // of the line's bodies and step outputs: what the history costs to load
}

const previousSQL = lineSQL + `
SELECT r.status, r.stored, a.data, (SELECT count(*) FROM line),
       COALESCE((SELECT previous FROM line ORDER BY generation DESC LIMIT 1), ` + postgres.NilID + `),
       (SELECT COALESCE(sum(octet_length(b.data)), 0) FROM bodies b
         WHERE b.request_id = ANY (ARRAY(SELECT id FROM line)) AND b.kind = 'request')::bigint +
       (SELECT COALESCE(sum(octet_length(s.output)), 0) FROM steps s
         WHERE s.request_id = ANY (ARRAY(SELECT id FROM line)))::bigint
  FROM requests r LEFT JOIN bodies a ON a.request_id = r.id AND a.kind = 'answer'
 WHERE r.id = @id AND r.tenant = @tenant`

// Previous reads what decides whether a tenant's request can be continued. For
// a terminal request the result stays valid until a request of its line is
// deleted. It returns ErrNotFound if the tenant has no such request.
func (s *Store) Previous(ctx context.Context, tenant string, id uuid.UUID) (Previous, error) {
	a := postgres.Args{"id": id, "tenant": tenant, "most": MaxAncestors + 1}
	found, err := postgres.QueryOne(ctx, s.db, previousSQL, a, func(row pgx.CollectableRow) (p Previous, err error) {
		return p, row.Scan(&p.Status, &p.Stored, &p.Final, &p.Length, &p.Gap, &p.Bytes)
	})
	if err != nil {
		return Previous{}, fmt.Errorf("read request %s for a continuation: %w", id, err)
	}
	return found, nil
}

const ancestorsSQL = lineSQL + `
SELECT ` + rowColumns + `, b.data, ` + stepColumns + `
  FROM requests r
  JOIN steps s ON s.request_id = r.id
  LEFT JOIN bodies b ON b.request_id = r.id AND b.kind = 'request' AND s.turn = 1 AND s.idx = 0
                    AND b.request_id = ANY (ARRAY(SELECT id FROM line))
 WHERE r.id = ANY (ARRAY(SELECT id FROM line)) AND s.request_id = ANY (ARRAY(SELECT id FROM line))
 ORDER BY r.id, s.turn, s.idx`

// Ancestors returns the requests that a request of the tenant continues, given
// its parent, oldest first. It returns ErrNotFound if one of them was deleted:
// a history with a gap is useless.
func (s *Store) Ancestors(ctx context.Context, tenant string, parent uuid.UUID) ([]run.Chain, error) {
	line, err := s.line(ctx, postgres.Args{"id": parent, "tenant": tenant, "most": MaxAncestors}, parent)
	if err != nil {
		return nil, fmt.Errorf("load request %s and what it continues: %w", parent, err)
	}
	return line, nil
}

func (s *Store) line(ctx context.Context, a postgres.Args, id uuid.UUID) ([]run.Chain, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, postgres.StatementTimeout, context.DeadlineExceeded)
	defer cancel()
	rows, err := s.db.Send(ctx, ancestorsSQL, a)
	if err != nil {
		return nil, err
	}
	chains, err := collectChains(rows)
	if err != nil {
		return nil, err
	}
	line := make([]run.Chain, len(chains))
	for i := len(line) - 1; i >= 0; i-- {
		c := chains[id]
		if c == nil {
			return nil, ErrNotFound
		}
		line[i], id = *c, c.Parent
	}
	if id != uuid.Nil {
		return nil, ErrNotFound
	}
	return line, nil
}
