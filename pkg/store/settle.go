package store

import (
	"context"
	"fmt"
	"maps"

	"github.com/google/uuid"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/conversations"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Settlement moves one request to a terminal status.
type Settlement struct {
	ID     uuid.UUID
	Tenant string // Cancelled: the owner of the request
	Epoch  int    // Completed, Incomplete, Failed: of the row that the answer was made from
	Status run.Status
	Reason string
	Answer []byte // the final body; nil for Cancelled and Expired, whose object follows from the row
	// Items are appended to the request's conversation, in order, if the
	// request is stored and Completed or Incomplete, and the conversation
	// exists.
	Items []run.NewItem
	// AfterWork keeps the row live for what the finalizer does after it:
	// archive, purges, notices.
	AfterWork bool
}

// Every way to a terminal status is this statement. Its WHERE says which rows
// may go where: the finalizer settles only decided rows, a cancel any live
// request of its tenant, expiry only requests past their deadline.
//
// What a request adds to its conversation is in the commit that ends it and
// unlocks the conversation: a reader that finds the conversation free sees the
// items. An item whose id exists already is left out; accepts refuse such ids.
//
// The tokens that the request used are charged to its tenant, if it has a
// limit. Budgets are locked after conversations, as by accepts, so the charge
// reads what was locked before it.
const settleSQL = `
WITH c AS (
  SELECT * FROM unnest(@ids::uuid[], @tenants::text[], @epochs::int[], @statuses::text[], @reasons::text[],
                       @answers::bytea[], @after::bool[])
    WITH ORDINALITY AS c(id, tenant, epoch, status, reason, answer, after, ord)),
locked AS (
  SELECT c.ord FROM c JOIN requests r ON r.id = c.id
   WHERE r.id = ANY (@ids::uuid[]) AND CASE c.status
           WHEN 'cancelled' THEN r.status IN ('queued', 'in_progress') AND r.tenant = c.tenant
           WHEN 'expired' THEN (r.status = 'queued' OR r.status = 'in_progress' AND r.stage <> 'settle')
               AND r.deadline <= now()
           ELSE r.status = 'in_progress' AND r.stage = 'settle' AND r.epoch = c.epoch
                AND (r.outcome = c.status OR c.status = 'failed')
         END
   ORDER BY r.id FOR UPDATE OF r),
settled AS (
  UPDATE requests r
     SET status = c.status, reason = COALESCE(NULLIF(c.reason, ''), r.reason), finished_at = now(), changed_at = now(),
         pending = 0, not_before = NULL, live = c.after,
         check_at = CASE WHEN c.after THEN now() + interval '4 seconds' END
    FROM c JOIN locked USING (ord)
   WHERE r.id = ANY (@ids::uuid[]) AND r.id = c.id AND r.status IN ('queued', 'in_progress')
  RETURNING c.ord, r.tenant, r.input_tokens + r.output_tokens AS tokens,
            CASE WHEN r.stored AND c.status IN ('completed', 'incomplete') THEN r.conversation END AS conversation),
talk AS (
  SELECT v.id, v.tenant, v.last_place FROM conversations v
   WHERE v.id = ANY (ARRAY(SELECT conversation FROM settled WHERE conversation IS NOT NULL)) ORDER BY v.id FOR UPDATE),
said AS (
  INSERT INTO conversation_items (conversation_id, place, tenant, item_id, calls, answers, data)
  SELECT talk.id, talk.last_place + row_number() OVER (PARTITION BY talk.id ORDER BY i.ord, i.n), talk.tenant,
         i.id, i.calls, i.answers, i.data
    FROM unnest(@i_ords::bigint[], @i_ids::text[], @i_calls::bytea[], @i_answers::bytea[], @i_data::bytea[])
        WITH ORDINALITY
      AS i(ord, id, calls, answers, data, n)
    JOIN settled ON settled.ord = i.ord JOIN talk ON talk.id = settled.conversation
  ON CONFLICT DO NOTHING
  RETURNING conversation_id, place, octet_length(data) AS size),
grown AS (
  UPDATE conversations v
     SET version = v.version + 1, last_place = s.last, items = v.items + s.n, bytes = v.bytes + s.size
    FROM (SELECT conversation_id AS id, max(place) AS last, count(*) AS n, sum(size) AS size FROM said GROUP BY 1) s
   WHERE v.id = ANY (ARRAY(SELECT id FROM talk)) AND v.id = s.id),
answered AS (
  INSERT INTO bodies (request_id, kind, data)
  SELECT c.id, 'answer', c.answer FROM c JOIN settled USING (ord) WHERE c.answer IS NOT NULL),
charged AS (
  UPDATE budgets b
     SET tokens_until = GREATEST(b.tokens_until, now()) + make_interval(secs => used.tokens * b.token_cost)
    FROM (SELECT tenant, sum(tokens)::float8 AS tokens FROM settled GROUP BY tenant ORDER BY tenant) used
   WHERE b.tenant = used.tenant AND b.token_cost > 0 AND (SELECT count(*) FROM talk) >= 0)
SELECT ord FROM settled`

// Settle moves a request to a terminal status, with its answer, in one
// statement shared with concurrent settlements. It returns ErrStale, with
// nothing written, if the row may not go there.
func (s *Store) Settle(ctx context.Context, o Settlement) error {
	ok, err := s.settles.Do(ctx, o)
	if err == nil && !ok {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("settle request %s as %s: %w", o.ID, o.Status, err)
	}
	return nil
}

func (s *Store) settleAll(ctx context.Context, all []Settlement) ([]bool, error) {
	var items []run.NewItem
	owners := []int64{} // index of the settlement, from 1
	for i, o := range all {
		for _, it := range o.Items {
			items, owners = append(items, it), append(owners, int64(i+1))
		}
	}
	a := conversations.ItemArgs(items)
	maps.Copy(a, postgres.Args{
		"i_ords":   owners,
		"ids":      postgres.IDs(all, func(o Settlement) uuid.UUID { return o.ID }),
		"tenants":  postgres.Column(all, func(o Settlement) string { return o.Tenant }),
		"epochs":   postgres.Column(all, func(o Settlement) int { return o.Epoch }),
		"statuses": postgres.Column(all, func(o Settlement) string { return string(o.Status) }),
		"reasons":  postgres.Column(all, func(o Settlement) string { return o.Reason }),
		"answers":  postgres.Column(all, func(o Settlement) []byte { return o.Answer }),
		"after":    postgres.Column(all, func(o Settlement) bool { return o.AfterWork }),
	})
	rows, err := s.db.Send(ctx, settleSQL, a)
	if err != nil {
		return nil, err
	}
	return turned(rows, len(all))
}

const finishSQL = `
UPDATE requests SET live = false, check_at = NULL
 WHERE id = @id AND live AND status NOT IN ('queued', 'in_progress')`

// Finish ends a terminal request's after-work. It can be repeated.
func (s *Store) Finish(ctx context.Context, id uuid.UUID) error {
	if _, err := s.db.Exec(ctx, finishSQL, postgres.Args{"id": id}); err != nil {
		return fmt.Errorf("finish the after-work of %s: %w", id, err)
	}
	return nil
}

const archiveSQL = `
WITH finished AS (
  UPDATE requests SET live = false, check_at = NULL
   WHERE id = @id AND live AND status NOT IN ('queued', 'in_progress')
  RETURNING id)
INSERT INTO bodies (request_id, kind, data)
SELECT id, 'events', @events::bytea FROM finished
ON CONFLICT DO NOTHING`

// Archive stores the events of a terminal request that was streamed, and ends
// its after-work as Finish does. The first archive stays; Archive can be
// repeated.
func (s *Store) Archive(ctx context.Context, id uuid.UUID, events []byte) error {
	if _, err := s.db.Exec(ctx, archiveSQL, postgres.Args{"id": id, "events": events}); err != nil {
		return fmt.Errorf("archive the events of %s: %w", id, err)
	}
	return nil
}
