package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/idempotency"
	"windlass.dev/windlass/pkg/store/labels"
	"windlass.dev/windlass/pkg/store/limits"
	"windlass.dev/windlass/pkg/store/postgres"
)

// NewRequest is a request to accept. The caller chooses the id, so that an
// accept whose answer was lost can be repeated.
type NewRequest struct {
	ID         uuid.UUID
	Tenant     string
	Endpoint   run.Endpoint
	Model      string
	Lane       string
	Tier       int     // 0 is served first
	Weight     float64 // the tenant's share; 0 means 1
	Background bool
	Body       []byte
	Timeout    time.Duration // the deadline counts from the accept, by the database's clock
	Trace      string
	Parent     uuid.UUID         // the request it continues; the caller has read it with [Store.Previous]
	Unstored   bool              // clients read it only until it ends
	Streamed   bool              // its events are written to the bus and archived
	Metadata   map[string]string // lists filter by it; ignored if Unstored
	// Conversation is the one it continues and locks, if that is still at the
	// version Seen of the conversations.State that the caller has read.
	Conversation uuid.UUID
	Seen         int64
	// Admit starts it at once if its lane has no queue; the caller has seen a
	// free slot in the lane.
	Admit  bool
	Once   idempotency.Key // only one request is accepted with it; zero: no key
	Limits limits.Limits   // of its tenant
}

// Acceptance is the result of an accept.
type Acceptance struct {
	Row   run.Row // says which message is due
	Quota limits.Quota
}

// The parts that both statements that accept requests share: the requests,
// which of them start at once, and the rows to write.
//
// The virtual finish time of start-time fair queueing: a tenant's next request
// is due one share after its own last queued one or, without one, after the
// first queued of the lane. No clock row is kept: with nothing queued, tags
// start at 0. Accepts that run at the same time may draw the same tag; their
// ids, which are in the order of time, then decide.
//
// A tenant's last queued request is the row at or before the end of its part of
// the index. With a condition by equality the planner may walk the lane's whole
// queue instead, whose index has the same order: 1,776 pages for 50,000 rows.
//
// A request with Admit skips the queue only if its lane has none, so that it
// overtakes no other request.
const (
	askedFrom = `
  SELECT *, row_number() OVER (PARTITION BY tenant, lane, tier ORDER BY id) AS place
    FROM unnest(@ids::uuid[], @tenants::text[], @endpoints::text[], @models::text[], @lanes::text[], @tiers::int[],
                @weights::float8[], @backgrounds::bool[], @bodies::bytea[], @timeouts::float8[], @traces::text[],
                @parents::uuid[], @unstored::bool[], @streamed::bool[], @keyed::bool[], @admits::bool[]`
	askedAs = `) WITH ORDINALITY
      AS n(id, tenant, endpoint, model, lane, tier, weight, background, body, timeout, trace, parent, unstored,
          streamed,
           keyed, admit`
	starting = `
  SELECT a.*, CASE WHEN a.admit AND NOT EXISTS (SELECT FROM requests q WHERE q.status = 'queued' AND q.lane = a.lane)
                   THEN 1 ELSE 0 END AS go`
	writing = `
accepted AS (
  INSERT INTO requests (id, tenant, endpoint, model, lane, tier, background, vft, deadline, trace, previous, stored,
                        streamed, keyed, conversation, status, live, epoch, turn, attempt, started_at, check_at)
  SELECT n.id, n.tenant, n.endpoint, n.model, n.lane, n.tier, n.background,
         CASE n.go WHEN 1 THEN 0 ELSE GREATEST(
           COALESCE((SELECT q.vft FROM requests q WHERE q.status = 'queued' AND q.lane = n.lane AND q.tier = n.tier
                      ORDER BY q.vft LIMIT 1), 0),
           COALESCE((SELECT last.vft FROM (
                       SELECT q.tenant, q.lane, q.tier, q.vft FROM requests q
                        WHERE q.status = 'queued'
                          AND (q.tenant, q.lane, q.tier, q.vft) <= (n.tenant, n.lane, n.tier, 'infinity'::float8)
                        ORDER BY q.tenant DESC, q.lane DESC, q.tier DESC, q.vft DESC LIMIT 1) last
                      WHERE last.tenant = n.tenant AND last.lane = n.lane AND last.tier = n.tier),
                          0)) + n.place / n.weight END,
         now() + make_interval(secs => n.timeout), n.trace, NULLIF(n.parent, ` + postgres.NilID + `), NOT n.unstored,
         n.streamed, n.keyed, n.talk,
         CASE n.go WHEN 1 THEN 'in_progress' ELSE 'queued' END, n.go = 1, n.go, n.go, n.go,
         CASE n.go WHEN 1 THEN now() END, CASE n.go WHEN 1 THEN now() + interval '4 seconds' END
    FROM n
  ON CONFLICT (id) DO NOTHING
  RETURNING id, model, status),
kept AS (
  INSERT INTO bodies (request_id, kind, data)
  SELECT n.id, 'request', n.body FROM n JOIN accepted USING (id)
  ON CONFLICT DO NOTHING),
labelled AS (
  INSERT INTO labels (request_id, label)
  SELECT l.id, l.label FROM unnest(@labelled::uuid[], @labels::uuid[]) AS l(id, label) JOIN accepted USING (id)
  ON CONFLICT DO NOTHING),
opened AS (
  INSERT INTO steps (request_id, turn, idx, kind, name, state)
  SELECT id, 1, 0, 'model', model, 'dispatched' FROM accepted WHERE status = 'in_progress')`
)

const acceptSQL = `
WITH asked AS (` + askedFrom + askedAs + `, ord)),
n AS (` + starting + `, NULL::uuid AS talk FROM asked a),` + writing + `
SELECT n.ord FROM n JOIN accepted USING (id) WHERE accepted.status = 'in_progress'`

// Accept writes a request and its body in one commit, shared with concurrent
// accepts. With Admit it is accept and claim in one. It can be repeated; a
// repeat returns a queued row in any case, and the sweep finds the row of the
// first call.
//
// Errors, with nothing written unless by an earlier call for the same id: a
// *limits.Error; idempotency.ErrUsed for an idempotency key that was used
// before; ErrStale if the request's conversation is no longer at the version
// seen, was deleted, or belongs to another tenant.
func (s *Store) Accept(ctx context.Context, n NewRequest) (Acceptance, error) {
	a, err := s.accepts.Do(ctx, n)
	if err == nil {
		err = a.refusal
	}
	if err != nil {
		return Acceptance{}, fmt.Errorf("accept request %s: %w", n.ID, err)
	}
	row := run.Row{
		ID: n.ID, Tenant: n.Tenant, Endpoint: n.Endpoint, Lane: n.Lane, Model: n.Model, Status: run.Queued,
		Remaining: n.Timeout, Trace: n.Trace, Parent: n.Parent, Streamed: n.Streamed, Conversation: n.Conversation,
	}
	if a.started {
		row.Status, row.Stage, row.Live = run.InProgress, run.StageModel, true
		row.Epoch, row.Turn, row.Attempt = 1, 1, 1
	}
	return Acceptance{Row: row, Quota: a.quota}, nil
}

// outcome is the result of one request of a statement.
type outcome struct {
	started bool
	refusal error
	quota   limits.Quota
}

func (s *Store) acceptAll(ctx context.Context, all []NewRequest) ([]outcome, error) {
	if slices.ContainsFunc(all, NewRequest.guarded) {
		return s.acceptGuarded(ctx, all)
	}
	rows, err := s.db.Send(ctx, acceptSQL, acceptArgs(all))
	if err != nil {
		return nil, err
	}
	started, err := turned(rows, len(all))
	return postgres.Column(started, func(ok bool) outcome { return outcome{started: ok} }), err
}

func acceptArgs(all []NewRequest) postgres.Args {
	labelled, labels := requestLabels(all)
	return postgres.Args{
		"labelled":    labelled,
		"labels":      labels,
		"ids":         postgres.IDs(all, func(n NewRequest) uuid.UUID { return n.ID }),
		"tenants":     postgres.Column(all, func(n NewRequest) string { return n.Tenant }),
		"endpoints":   postgres.Column(all, func(n NewRequest) string { return string(n.Endpoint) }),
		"models":      postgres.Column(all, func(n NewRequest) string { return n.Model }),
		"lanes":       postgres.Column(all, func(n NewRequest) string { return n.Lane }),
		"tiers":       postgres.Column(all, func(n NewRequest) int { return n.Tier }),
		"weights":     postgres.Column(all, func(n NewRequest) float64 { return cmp.Or(n.Weight, 1) }),
		"backgrounds": postgres.Column(all, func(n NewRequest) bool { return n.Background }),
		"bodies":      postgres.Column(all, func(n NewRequest) []byte { return n.Body }),
		"timeouts":    postgres.Column(all, func(n NewRequest) float64 { return n.Timeout.Seconds() }),
		"traces":      postgres.Column(all, func(n NewRequest) string { return n.Trace }),
		"parents":     postgres.IDs(all, func(n NewRequest) uuid.UUID { return n.Parent }),
		"unstored":    postgres.Column(all, func(n NewRequest) bool { return n.Unstored }),
		"streamed":    postgres.Column(all, func(n NewRequest) bool { return n.Streamed }),
		"keyed":       postgres.Column(all, func(n NewRequest) bool { return n.Unstored && n.Once.Key != "" }),
		"admits":      postgres.Column(all, func(n NewRequest) bool { return n.Admit }),
	}
}

// requestLabels returns the labels of requests that lists show, each beside its
// request's id.
func requestLabels(all []NewRequest) (requests, names [][16]byte) {
	requests, names = [][16]byte{}, [][16]byte{}
	for _, n := range all {
		if n.Unstored || n.Endpoint != run.Responses {
			continue
		}
		for _, name := range labels.Of(n.Tenant, n.Metadata, n.Parent, n.Conversation) {
			requests, names = append(requests, n.ID), append(names, name)
		}
	}
	return requests, names
}
