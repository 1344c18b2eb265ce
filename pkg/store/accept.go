package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// NewRequest is a request as the gateway accepts it. The id is chosen before, so that an accept whose answer was lost can be
// repeated.
type NewRequest struct {
	ID         uuid.UUID
	Tenant     string
	Endpoint   string
	Model      string
	Lane       string
	Tier       int     // 0 is served first
	Weight     float64 // the tenant's share; 0 means 1
	Background bool
	Body       []byte
	Timeout    time.Duration // the deadline counts from the accept, by the database's clock
	Trace      string
}

// The virtual finish time of start-time fair queueing: a tenant's next request is due one share after its own last queued
// one, or after the first queued of the lane when it has none. No clock row is kept: with nothing queued, tags start anew.
// Accepts that run at the same time may draw the same tag; the order between them is then by id, that is by time.
const acceptSQL = `
WITH n AS (
  SELECT *, row_number() OVER (PARTITION BY tenant, lane, tier ORDER BY id) AS place
    FROM unnest(@ids::uuid[], @tenants::text[], @endpoints::text[], @models::text[], @lanes::text[], @tiers::int[],
                @weights::float8[], @backgrounds::bool[], @bodies::bytea[], @timeouts::float8[], @traces::text[])
      AS n(id, tenant, endpoint, model, lane, tier, weight, background, body, timeout, trace)),
accepted AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, trace)
  SELECT n.id, n.tenant, n.endpoint, n.model, n.lane, n.tier, n.background,
         GREATEST(
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.lane = n.lane AND q.tier = n.tier
                      ORDER BY q.vft LIMIT 1), 0),
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.tenant = n.tenant AND q.lane = n.lane
                        AND q.tier = n.tier ORDER BY q.vft DESC LIMIT 1), 0)) + n.place / n.weight,
         now() + make_interval(secs => n.timeout), n.trace
    FROM n
  ON CONFLICT (id) DO NOTHING
  RETURNING id)
INSERT INTO bodies (request_id, kind, data)
SELECT n.id, 'request', n.body FROM n JOIN accepted USING (id)
ON CONFLICT DO NOTHING`

// Accept writes a request and its body in one commit, shared with other accepts of the same moment. Repeating it is harmless.
func (s *Store) Accept(ctx context.Context, n NewRequest) error {
	if _, err := s.accepts.do(ctx, n); err != nil {
		return fmt.Errorf("accept request %s: %w", n.ID, err)
	}
	return nil
}

func (s *Store) acceptAll(ctx context.Context, all []NewRequest) ([]bool, error) {
	_, err := s.pool.Exec(ctx, acceptSQL, pgx.NamedArgs{
		"ids":         column(all, func(n NewRequest) uuid.UUID { return n.ID }),
		"tenants":     column(all, func(n NewRequest) string { return n.Tenant }),
		"endpoints":   column(all, func(n NewRequest) string { return n.Endpoint }),
		"models":      column(all, func(n NewRequest) string { return n.Model }),
		"lanes":       column(all, func(n NewRequest) string { return n.Lane }),
		"tiers":       column(all, func(n NewRequest) int { return n.Tier }),
		"weights":     column(all, func(n NewRequest) float64 { return cmp.Or(n.Weight, 1) }),
		"backgrounds": column(all, func(n NewRequest) bool { return n.Background }),
		"bodies":      column(all, func(n NewRequest) []byte { return n.Body }),
		"timeouts":    column(all, func(n NewRequest) float64 { return n.Timeout.Seconds() }),
		"traces":      column(all, func(n NewRequest) string { return n.Trace }),
	})
	if err != nil {
		return nil, err
	}
	return make([]bool, len(all)), nil
}
