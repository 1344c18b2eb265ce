package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// NewRequest is a request as the gateway accepts it. The id is chosen before, so that an accept whose answer was lost can be
// repeated.
type NewRequest struct {
	ID         uuid.UUID
	Tenant     string
	Endpoint   string // its path below the API's base: "responses", or one of an endpoint that is one model call
	Model      string
	Lane       string
	Tier       int     // 0 is served first
	Weight     float64 // the tenant's share; 0 means 1
	Background bool
	Body       []byte
	Timeout    time.Duration // the deadline counts from the accept, by the database's clock
	Trace      string
	Parent     uuid.UUID // the request it continues; the caller has looked at it with [Store.Previous]
	Unstored   bool      // its id is good for nothing but its own settlement

	admit bool
}

// The virtual finish time of start-time fair queueing: a tenant's next request is due one share after its own last queued
// one, or after the first queued of the lane when it has none. No clock row is kept: with nothing queued, tags start anew.
// Accepts that run at the same time may draw the same tag; the order between them is then by id, that is by time.
//
// A request that may be admitted at once skips the queue only where its lane has none: it overtakes nobody.
const acceptSQL = `
WITH asked AS (
  SELECT *, row_number() OVER (PARTITION BY tenant, lane, tier ORDER BY id) AS place
    FROM unnest(@ids::uuid[], @tenants::text[], @endpoints::text[], @models::text[], @lanes::text[], @tiers::int[],
                @weights::float8[], @backgrounds::bool[], @bodies::bytea[], @timeouts::float8[], @traces::text[], @parents::uuid[],
                @unstored::bool[], @admits::bool[])
      WITH ORDINALITY
      AS n(id, tenant, endpoint, model, lane, tier, weight, background, body, timeout, trace, parent, unstored, admit, ord)),
n AS (
  SELECT asked.*, CASE WHEN admit AND NOT EXISTS (SELECT FROM requests q WHERE q.status = 'queued' AND q.lane = asked.lane)
                       THEN 1 ELSE 0 END AS go
    FROM asked),
accepted AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, trace, previous, stored,
                        status, live, epoch, turn, attempt, started_at, check_at)
  SELECT n.id, n.tenant, n.endpoint, n.model, n.lane, n.tier, n.background,
         CASE n.go WHEN 1 THEN 0 ELSE GREATEST(
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.lane = n.lane AND q.tier = n.tier
                      ORDER BY q.vft LIMIT 1), 0),
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.tenant = n.tenant AND q.lane = n.lane
                        AND q.tier = n.tier ORDER BY q.vft DESC LIMIT 1), 0)) + n.place / n.weight END,
         now() + make_interval(secs => n.timeout), n.trace, NULLIF(n.parent, ` + nobody + `), NOT n.unstored,
         CASE n.go WHEN 1 THEN 'in_progress' ELSE 'queued' END, n.go = 1, n.go, n.go, n.go,
         CASE n.go WHEN 1 THEN now() END, CASE n.go WHEN 1 THEN now() + interval '4 seconds' END
    FROM n
  ON CONFLICT (id) DO NOTHING
  RETURNING id, model, status),
kept AS (
  INSERT INTO bodies (request_id, kind, data)
  SELECT n.id, 'request', n.body FROM n JOIN accepted USING (id)
  ON CONFLICT DO NOTHING),
opened AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state)
  SELECT id, 1, 0, 'model', model, 'dispatched' FROM accepted WHERE status = 'in_progress')
SELECT n.ord FROM n JOIN accepted USING (id) WHERE accepted.status = 'in_progress'`

// Accept writes a request and its body in one commit, shared with other accepts of the same moment. Repeating it is harmless.
func (s *Store) Accept(ctx context.Context, n NewRequest) error {
	_, err := s.accept(ctx, n)
	return err
}

// Admit is Accept and claim in one: where the lane has no queue the request is in progress from the start, and the row returned
// says which message it needs; otherwise it is queued like any other. The caller has seen a free slot in the lane. A
// repeated Admit reports a queued row, whatever the first one did: the sweep finds what that one left.
func (s *Store) Admit(ctx context.Context, n NewRequest) (Row, error) {
	n.admit = true
	row := Row{
		ID: n.ID, Tenant: n.Tenant, Endpoint: n.Endpoint, Lane: n.Lane, Model: n.Model, Status: Queued, Remaining: n.Timeout,
		Trace: n.Trace, Parent: n.Parent,
	}
	admitted, err := s.accept(ctx, n)
	if admitted {
		row.Status, row.Stage, row.Live, row.Epoch, row.Turn, row.Attempt = InProgress, StageModel, true, 1, 1, 1
	}
	return row, err
}

func (s *Store) accept(ctx context.Context, n NewRequest) (admitted bool, err error) {
	if admitted, err = s.accepts.do(ctx, n); err != nil {
		return false, fmt.Errorf("accept request %s: %w", n.ID, err)
	}
	return admitted, nil
}

func (s *Store) acceptAll(ctx context.Context, all []NewRequest) ([]bool, error) {
	rows, err := s.pool.Query(ctx, acceptSQL, args{
		"ids":         ids(all, func(n NewRequest) uuid.UUID { return n.ID }),
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
		"parents":     ids(all, func(n NewRequest) uuid.UUID { return n.Parent }),
		"unstored":    column(all, func(n NewRequest) bool { return n.Unstored }),
		"admits":      column(all, func(n NewRequest) bool { return n.admit }),
	})
	if err != nil {
		return nil, err
	}
	return turned(rows, len(all))
}
