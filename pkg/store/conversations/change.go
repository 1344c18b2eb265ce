package conversations

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// MaxItems bounds the items of a conversation that a response may continue.
const MaxItems = 5000

// State decides whether a response may be accepted on a conversation, or its
// items changed. It is valid while the conversation has the same version, which
// the following write checks.
type State struct {
	Conversation
	Version   int64
	ChangedBy uuid.UUID // the last request or change
	Locked    bool      // ChangedBy is a request in flight
	Items     int
	Bytes     int64
	Links     []Link   // of its calls and outputs, in order
	Present   []string // those of the given ids that it has
}

// Link is a call or, with Answer, the output of one.
type Link struct {
	CallID []byte
	Answer bool
}

// One snapshot: if a request is terminal in it, so are its items.
const stateSQL = `
SELECT ` + columns + `, v.version, COALESCE(v.changed_by, ` + postgres.NilID + `), v.items, v.bytes,
       EXISTS (SELECT FROM requests r WHERE r.id = v.changed_by AND r.status IN ('queued', 'in_progress')),
       ARRAY(SELECT COALESCE(i.calls, i.answers) FROM conversation_items i
              WHERE i.conversation_id = v.id AND COALESCE(i.calls, i.answers) IS NOT NULL ORDER BY i.place),
       ARRAY(SELECT i.answers IS NOT NULL FROM conversation_items i
              WHERE i.conversation_id = v.id AND COALESCE(i.calls, i.answers) IS NOT NULL ORDER BY i.place),
       ARRAY(SELECT q.id FROM unnest(@ids::text[]) AS q(id)
              CROSS JOIN LATERAL (SELECT FROM conversation_items i
                                   WHERE i.tenant = v.tenant AND i.item_id = q.id AND i.conversation_id = v.id
                                       LIMIT 1) here)
  FROM conversations v WHERE v.id = @id AND v.tenant = @tenant`

// State returns the state of a tenant's conversation, and which of ids are
// items in it. It returns ErrNotFound if the tenant has no such conversation.
func (s *Store) State(ctx context.Context, tenant string, id uuid.UUID, ids []string) (State, error) {
	c, err := postgres.QueryOne(ctx, s.db, stateSQL, postgres.Args{"id": id, "tenant": tenant, "ids": ids}, scanState)
	if err != nil {
		return State{}, fmt.Errorf("read the state of conversation %s: %w", id, err)
	}
	return c, nil
}

func scanState(row pgx.CollectableRow) (c State, err error) {
	var calls [][]byte
	var answers []bool
	err = row.Scan(&c.ID, &c.Metadata, &c.CreatedAt, &c.Version, &c.ChangedBy, &c.Items, &c.Bytes, &c.Locked,
		&calls, &answers, &c.Present)
	for i, call := range calls {
		c.Links = append(c.Links, Link{CallID: call, Answer: answers[i]})
	}
	return c, err
}

// Change is a change of a conversation's items by a client.
type Change struct {
	ID           uuid.UUID // new per change, so that one whose answer was lost can be repeated
	Tenant       string
	Conversation uuid.UUID
	Seen         int64 // the version of the state that the change was decided on
	Add          []run.NewItem
	Remove       string // an item's id; empty: remove nothing
}

// An accept raises the version too, so that no response is in flight at the
// version seen.
const changeSQL = `
WITH locked AS (
  SELECT v.id, v.tenant, v.version, v.changed_by, v.last_place FROM conversations v
   WHERE v.id = @conversation AND v.tenant = @tenant FOR UPDATE),
free AS (
  SELECT * FROM locked WHERE version = @seen),
added AS (
  INSERT INTO conversation_items (conversation_id, place, tenant, item_id, calls, answers, data)
  SELECT free.id, free.last_place + i.n, free.tenant, i.id, i.calls, i.answers, i.data
    FROM free, unnest(@i_ids::text[], @i_calls::bytea[], @i_answers::bytea[], @i_data::bytea[]) WITH ORDINALITY
      AS i(id, calls, answers, data, n)
  RETURNING octet_length(data) AS size),
removed AS (
  DELETE FROM conversation_items i USING free
   WHERE i.tenant = @tenant AND i.item_id = @remove AND i.conversation_id = free.id
       AND i.conversation_id = @conversation
  RETURNING octet_length(i.data) AS size),
changed AS (
  UPDATE conversations v
     SET version = v.version + 1, changed_by = @id, last_place = v.last_place + (SELECT count(*) FROM added),
         items = v.items + (SELECT count(*) FROM added) - (SELECT count(*) FROM removed),
         bytes = v.bytes + (SELECT COALESCE(sum(size), 0) FROM added) - (SELECT COALESCE(sum(size), 0) FROM removed)
    FROM free WHERE v.id = free.id AND v.id = @conversation)
SELECT version = @seen OR changed_by = @id FROM locked`

// ChangeItems appends items to a conversation and removes one. It returns
// ErrStale if the conversation is no longer at the version seen, with nothing
// written, and ErrNotFound if the tenant has no such conversation. It can be
// repeated until the conversation changes again.
func (s *Store) ChangeItems(ctx context.Context, c Change) error {
	a := ItemArgs(c.Add)
	a["id"], a["tenant"], a["conversation"], a["seen"], a["remove"] = c.ID, c.Tenant, c.Conversation, c.Seen, c.Remove
	done, err := postgres.QueryOne(ctx, s.db, changeSQL, a, pgx.RowTo[bool])
	if err == nil && !done {
		err = postgres.ErrStale
	}
	if err != nil {
		return fmt.Errorf("change the items of conversation %s: %w", c.Conversation, err)
	}
	return nil
}
