package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// MaxConversationItems bounds the items of a conversation that a response may be made on.
const MaxConversationItems = 5000

// ConversationState is what decides whether a response may be accepted on a conversation, or its items changed. It holds for as long
// as the conversation's version is the same, which the write that follows checks.
type ConversationState struct {
	Conversation
	Version   int64
	ChangedBy uuid.UUID // what changed it last
	Locked    bool      // ChangedBy is a request in flight
	Items     int
	Bytes     int64
	Links     []ItemLink // of its calls and outputs, in order
	Present   []string   // which of the ids that were asked for it has
}

// ItemLink is a call or, with Answer, an output of one.
type ItemLink struct {
	CallID []byte
	Answer bool
}

// One snapshot: a request that is terminal in it has added its items in it.
const conversationStateSQL = `
SELECT ` + conversationColumns + `, v.version, COALESCE(v.changed_by, ` + postgres.NilID + `), v.items, v.bytes,
       EXISTS (SELECT FROM requests r WHERE r.id = v.changed_by AND r.status IN ('queued', 'in_progress')),
       ARRAY(SELECT COALESCE(i.calls, i.answers) FROM conversation_items i
              WHERE i.conversation_id = v.id AND COALESCE(i.calls, i.answers) IS NOT NULL ORDER BY i.place),
       ARRAY(SELECT i.answers IS NOT NULL FROM conversation_items i
              WHERE i.conversation_id = v.id AND COALESCE(i.calls, i.answers) IS NOT NULL ORDER BY i.place),
       ARRAY(SELECT q.id FROM unnest(@ids::text[]) AS q(id)
              CROSS JOIN LATERAL (SELECT FROM conversation_items i
                                   WHERE i.tenant = v.tenant AND i.item_id = q.id AND i.conversation_id = v.id LIMIT 1) here)
  FROM conversations v WHERE v.id = @id AND v.tenant = @tenant`

// ConversationState reads how a conversation of a tenant stands, and which of ids are of items in it. ErrNotFound: the tenant has no
// such conversation.
func (s *Store) ConversationState(ctx context.Context, tenant string, id uuid.UUID, ids []string) (ConversationState, error) {
	found, err := postgres.Query(ctx, s.db, conversationStateSQL, postgres.Args{"id": id, "tenant": tenant, "ids": ids},
		func(row pgx.CollectableRow) (c ConversationState, err error) {
			var calls [][]byte
			var answers []bool
			err = row.Scan(&c.ID, &c.Metadata, &c.CreatedAt, &c.Version, &c.ChangedBy, &c.Items, &c.Bytes, &c.Locked, &calls, &answers, &c.Present)
			for i, call := range calls {
				c.Links = append(c.Links, ItemLink{CallID: call, Answer: answers[i]})
			}
			return c, err
		})
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return ConversationState{}, fmt.Errorf("read the state of conversation %s: %w", id, err)
	}
	return found[0], nil
}

// ItemsChange is a change of a conversation's items by a client.
type ItemsChange struct {
	ID           uuid.UUID // new for every change, so that one whose answer was lost can be repeated
	Tenant       string
	Conversation uuid.UUID
	Seen         int64 // the version of the state that the change was decided on
	Add          []NewItem
	Remove       string // an item's id; empty: none
}

// A version that is the one seen says that nothing happened since, an accept included: whoever holds the lock would have raised it.
const changeItemsSQL = `
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
   WHERE i.tenant = @tenant AND i.item_id = @remove AND i.conversation_id = free.id AND i.conversation_id = @conversation
  RETURNING octet_length(i.data) AS size),
changed AS (
  UPDATE conversations v
     SET version = v.version + 1, changed_by = @id, last_place = v.last_place + (SELECT count(*) FROM added),
         items = v.items + (SELECT count(*) FROM added) - (SELECT count(*) FROM removed),
         bytes = v.bytes + (SELECT COALESCE(sum(size), 0) FROM added) - (SELECT COALESCE(sum(size), 0) FROM removed)
    FROM free WHERE v.id = free.id AND v.id = @conversation)
SELECT version = @seen OR changed_by = @id FROM locked`

// ChangeItems adds items to a conversation, behind those it has, and takes one away. ErrStale: the conversation is no longer at the
// version seen; nothing was written. ErrNotFound: the tenant has no such conversation. Repeating a change is harmless until
// another one was made.
func (s *Store) ChangeItems(ctx context.Context, c ItemsChange) error {
	a := itemArgs(c.Add)
	a["id"], a["tenant"], a["conversation"], a["seen"], a["remove"] = c.ID, c.Tenant, c.Conversation, c.Seen, c.Remove
	done, err := postgres.Query(ctx, s.db, changeItemsSQL, a, pgx.RowTo[bool])
	switch {
	case err != nil:
	case len(done) == 0:
		err = ErrNotFound
	case !done[0]:
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("change the items of conversation %s: %w", c.Conversation, err)
	}
	return nil
}
