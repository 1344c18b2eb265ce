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
	Streamed   bool      // its events are written to the bus and archived
	// Conversation is the one it continues and locks, if that is still at the version Seen, which the caller has looked at with
	// [Store.ConversationState].
	Conversation uuid.UUID
	Seen         int64

	admit bool
}

// acceptance is what became of an accept.
type acceptance int

const (
	isAccepted acceptance = iota // queued, or there already
	isAdmitted
	isRefused // the conversation has moved on
)

// The virtual finish time of start-time fair queueing: a tenant's next request is due one share after its own last queued
// one, or after the first queued of the lane when it has none. No clock row is kept: with nothing queued, tags start anew.
// Accepts that run at the same time may draw the same tag; the order between them is then by id, that is by time.
//
// A tenant's last queued one is the row at or before the end of its part of the index. Asked for by equality, a tenant that has none
// may be looked for in the lane's whole queue, 1,776 pages of 50,000 rows: that index has the order as well.
//
// A request that may be admitted at once skips the queue only where its lane has none: it overtakes nobody.
//
// Of accepts on one conversation at the same time one finds the version it has seen and raises it; that the conversation was free at
// that version was seen then, and raising it is the only way to take it. The lock is the row that changed_by names: it goes with the
// statement that makes that row terminal, whichever it is. Conversations are locked in the order of ids, and by settlements after
// their requests, so that nothing waits in a circle.
const acceptSQL = `
WITH asked AS (
  SELECT *, row_number() OVER (PARTITION BY tenant, lane, tier ORDER BY id) AS place
    FROM unnest(@ids::uuid[], @tenants::text[], @endpoints::text[], @models::text[], @lanes::text[], @tiers::int[],
                @weights::float8[], @backgrounds::bool[], @bodies::bytea[], @timeouts::float8[], @traces::text[], @parents::uuid[],
                @unstored::bool[], @streamed::bool[], @admits::bool[], @conversations::uuid[], @seen::bigint[])
      WITH ORDINALITY
      AS n(id, tenant, endpoint, model, lane, tier, weight, background, body, timeout, trace, parent, unstored, streamed, admit,
           conversation, seen, ord)),
held AS (
  SELECT v.id, v.tenant, v.version, v.changed_by FROM conversations v
   WHERE v.id = ANY (@conversations::uuid[]) ORDER BY v.id FOR UPDATE),
free AS (
  SELECT held.id, min(a.ord) AS ord FROM held JOIN asked a ON a.conversation = held.id
   WHERE a.tenant = held.tenant AND a.seen = held.version GROUP BY held.id),
taken AS (
  UPDATE conversations v SET version = v.version + 1, changed_by = a.id
    FROM free JOIN asked a ON a.ord = free.ord
   WHERE v.id = ANY (@conversations::uuid[]) AND v.id = free.id
  RETURNING a.ord),
n AS (
  SELECT asked.*, NULLIF(conversation, ` + nobody + `) AS talk,
         CASE WHEN admit AND NOT EXISTS (SELECT FROM requests q WHERE q.status = 'queued' AND q.lane = asked.lane)
              THEN 1 ELSE 0 END AS go
    FROM asked WHERE conversation = ` + nobody + ` OR ord IN (SELECT ord FROM taken)),
accepted AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, trace, previous, stored, streamed, conversation,
                        status, live, epoch, turn, attempt, started_at, check_at)
  SELECT n.id, n.tenant, n.endpoint, n.model, n.lane, n.tier, n.background,
         CASE n.go WHEN 1 THEN 0 ELSE GREATEST(
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.lane = n.lane AND q.tier = n.tier
                      ORDER BY q.vft LIMIT 1), 0),
           COALESCE((SELECT last.vft FROM (
                       SELECT q.tenant, q.lane, q.tier, q.vft FROM requests q
                        WHERE q.status = 'queued' AND (q.tenant, q.lane, q.tier, q.vft) <= (n.tenant, n.lane, n.tier, 'infinity'::float8)
                        ORDER BY q.tenant DESC, q.lane DESC, q.tier DESC, q.vft DESC LIMIT 1) last
                      WHERE last.tenant = n.tenant AND last.lane = n.lane AND last.tier = n.tier), 0)) + n.place / n.weight END,
         now() + make_interval(secs => n.timeout), n.trace, NULLIF(n.parent, ` + nobody + `), NOT n.unstored, n.streamed, n.talk,
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
SELECT n.ord, 1 FROM n JOIN accepted USING (id) WHERE accepted.status = 'in_progress'
UNION ALL
SELECT a.ord, 2 FROM asked a
 WHERE a.conversation <> ` + nobody + ` AND a.ord NOT IN (SELECT ord FROM taken)
   AND NOT EXISTS (SELECT FROM held WHERE held.id = a.conversation AND held.changed_by = a.id)
   AND NOT EXISTS (SELECT FROM requests r WHERE r.id = ANY (@ids::uuid[]) AND r.id = a.id)`

// Accept writes a request and its body in one commit, shared with other accepts of the same moment. Repeating it is harmless.
// ErrStale: the request's conversation is no longer at the version seen, or gone, or another tenant's; nothing was written.
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
		Trace: n.Trace, Parent: n.Parent, Streamed: n.Streamed, Conversation: n.Conversation,
	}
	admitted, err := s.accept(ctx, n)
	if admitted {
		row.Status, row.Stage, row.Live, row.Epoch, row.Turn, row.Attempt = InProgress, StageModel, true, 1, 1, 1
	}
	return row, err
}

func (s *Store) accept(ctx context.Context, n NewRequest) (bool, error) {
	a, err := s.accepts.do(ctx, n)
	if err == nil && a == isRefused {
		err = ErrStale
	}
	if err != nil {
		return false, fmt.Errorf("accept request %s: %w", n.ID, err)
	}
	return a == isAdmitted, nil
}

func (s *Store) acceptAll(ctx context.Context, all []NewRequest) ([]acceptance, error) {
	rows, err := s.pool.Query(ctx, acceptSQL, args{
		"ids":           ids(all, func(n NewRequest) uuid.UUID { return n.ID }),
		"tenants":       column(all, func(n NewRequest) string { return n.Tenant }),
		"endpoints":     column(all, func(n NewRequest) string { return n.Endpoint }),
		"models":        column(all, func(n NewRequest) string { return n.Model }),
		"lanes":         column(all, func(n NewRequest) string { return n.Lane }),
		"tiers":         column(all, func(n NewRequest) int { return n.Tier }),
		"weights":       column(all, func(n NewRequest) float64 { return cmp.Or(n.Weight, 1) }),
		"backgrounds":   column(all, func(n NewRequest) bool { return n.Background }),
		"bodies":        column(all, func(n NewRequest) []byte { return n.Body }),
		"timeouts":      column(all, func(n NewRequest) float64 { return n.Timeout.Seconds() }),
		"traces":        column(all, func(n NewRequest) string { return n.Trace }),
		"parents":       ids(all, func(n NewRequest) uuid.UUID { return n.Parent }),
		"unstored":      column(all, func(n NewRequest) bool { return n.Unstored }),
		"streamed":      column(all, func(n NewRequest) bool { return n.Streamed }),
		"admits":        column(all, func(n NewRequest) bool { return n.admit }),
		"conversations": ids(all, func(n NewRequest) uuid.UUID { return n.Conversation }),
		"seen":          column(all, func(n NewRequest) int64 { return n.Seen }),
	})
	if err != nil {
		return nil, err
	}
	out := make([]acceptance, len(all))
	var place int64
	var a int
	_, err = pgx.ForEachRow(rows, []any{&place, &a}, func() error {
		out[place-1] = acceptance(a)
		return nil
	})
	return out, err
}
