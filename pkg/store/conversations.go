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

// Conversation is a conversation as a client may see it.
type Conversation struct {
	ID        uuid.UUID
	Metadata  []byte
	CreatedAt time.Time
}

const conversationColumns = `v.id, v.metadata, v.created_at`

func scanConversation(row pgx.CollectableRow) (c Conversation, err error) {
	return c, row.Scan(&c.ID, &c.Metadata, &c.CreatedAt)
}

// NewItem is an item that is added to a conversation.
type NewItem = run.NewItem

func itemArgs(items []NewItem) postgres.Args {
	return postgres.Args{
		"i_ids":     postgres.Column(items, func(i NewItem) string { return i.ID }),
		"i_calls":   postgres.Column(items, func(i NewItem) []byte { return i.Calls }),
		"i_answers": postgres.Column(items, func(i NewItem) []byte { return i.Answers }),
		"i_data":    postgres.Column(items, func(i NewItem) []byte { return i.Data }),
	}
}

// NewConversation is a conversation to be made. The id is chosen before, as a
// request's is.
type NewConversation struct {
	ID       uuid.UUID
	Tenant   string
	Metadata []byte
	Items    []NewItem
}

const createConversationSQL = `
WITH made AS (
  INSERT INTO conversations (id, tenant, metadata, changed_by, last_place, items, bytes)
  SELECT @id, @tenant, @metadata, @id, count(*), count(*), COALESCE(sum(octet_length(data)), 0)
    FROM unnest(@i_data::bytea[]) AS i(data)
  ON CONFLICT (id) DO NOTHING
  RETURNING id, tenant)
INSERT INTO conversation_items (conversation_id, place, tenant, item_id, calls, answers, data)
SELECT made.id, i.place, made.tenant, i.id, i.calls, i.answers, i.data
  FROM made, unnest(@i_ids::text[], @i_calls::bytea[], @i_answers::bytea[], @i_data::bytea[]) WITH ORDINALITY
    AS i(id, calls, answers, data, place)`

// CreateConversation makes a conversation with its first items, in one commit.
// Repeating it is harmless.
func (s *Store) CreateConversation(ctx context.Context, n NewConversation) error {
	a := itemArgs(n.Items)
	a["id"], a["tenant"], a["metadata"] = n.ID, n.Tenant, n.Metadata
	if _, err := s.db.Exec(ctx, createConversationSQL, a); err != nil {
		return fmt.Errorf("create conversation %s: %w", n.ID, err)
	}
	return nil
}

const conversationSQL = `
SELECT ` + conversationColumns + ` FROM conversations v WHERE v.id = @id AND v.tenant = @tenant`

// Conversation reads a conversation of a tenant. ErrNotFound: the tenant has no
// such conversation.
func (s *Store) Conversation(ctx context.Context, tenant string, id uuid.UUID) (Conversation, error) {
	return s.conversation(ctx, "read", conversationSQL, postgres.Args{"id": id, "tenant": tenant})
}

const setMetadataSQL = `
UPDATE conversations v SET metadata = @metadata WHERE v.id = @id AND v.tenant = @tenant
RETURNING ` + conversationColumns

// SetMetadata replaces a conversation's metadata; a response that is in flight
// on it does not mind. ErrNotFound: the tenant has no such conversation.
func (s *Store) SetMetadata(ctx context.Context, tenant string, id uuid.UUID, metadata []byte) (Conversation, error) {
	return s.conversation(ctx, "set the metadata of", setMetadataSQL, postgres.Args{"id": id, "tenant": tenant, "metadata": metadata})
}

// Its items go by the foreign key, those too that were committed after this
// statement began.
const deleteConversationSQL = `
DELETE FROM conversations v WHERE v.id = @id AND v.tenant = @tenant
RETURNING ` + conversationColumns

// DeleteConversation takes a conversation away with its items, whatever is in
// flight on it: that finds its history gone at its next turn, and nothing to
// add its items to at its end. ErrNotFound: the tenant has no such
// conversation.
func (s *Store) DeleteConversation(ctx context.Context, tenant string, id uuid.UUID) error {
	_, err := s.conversation(ctx, "delete", deleteConversationSQL, postgres.Args{"id": id, "tenant": tenant})
	return err
}

func (s *Store) conversation(ctx context.Context, what, sql string, a postgres.Args) (Conversation, error) {
	found, err := postgres.Query(ctx, s.db, sql, a, scanConversation)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return Conversation{}, fmt.Errorf("%s conversation %s: %w", what, a["id"], err)
	}
	return found[0], nil
}
