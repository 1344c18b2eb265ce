package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// StoredItem is an item of a conversation.
type StoredItem struct {
	ID   string
	Data []byte
}

// ItemsPage is a piece of a conversation: up to Limit items behind the one with the id After, from one end to the other.
type ItemsPage struct {
	Tenant       string
	Conversation uuid.UUID
	OldestFirst  bool
	After        string // empty: from the end that comes first
	Limit        int
}

// A conversation without items, and a cursor that is none, are one row of nulls; they differ in its first column.
const (
	pageSQL = `
SELECT @after::text = '' OR a.place IS NOT NULL, i.item_id, i.data
  FROM conversations v
  LEFT JOIN LATERAL (
    SELECT n.place FROM conversation_items n
     WHERE n.tenant = @tenant AND n.item_id = @after AND n.conversation_id = v.id) a ON true
  LEFT JOIN LATERAL (
    SELECT n.place, n.item_id, n.data FROM conversation_items n
     WHERE n.conversation_id = v.id AND (@after::text = '' OR a.place IS NOT NULL)`
	pageUpSQL = pageSQL + ` AND n.place > COALESCE(a.place, 0) ORDER BY n.place LIMIT @limit) i ON true
 WHERE v.id = @id AND v.tenant = @tenant ORDER BY i.place`
	pageDownSQL = pageSQL + ` AND n.place < COALESCE(a.place, 9223372036854775807) ORDER BY n.place DESC LIMIT @limit) i ON true
 WHERE v.id = @id AND v.tenant = @tenant ORDER BY i.place DESC`
)

// ConversationItems reads a piece of a conversation. ErrNotFound: the tenant has no such conversation. ErrNoItem: it has no item
// with the id After.
func (s *Store) ConversationItems(ctx context.Context, p ItemsPage) ([]StoredItem, error) {
	sql := pageDownSQL
	if p.OldestFirst {
		sql = pageUpSQL
	}
	known := true
	rows, err := postgres.Query(ctx, s.db, sql, postgres.Args{"id": p.Conversation, "tenant": p.Tenant, "after": p.After, "limit": p.Limit},
		func(row pgx.CollectableRow) (i StoredItem, err error) {
			var id *string
			if err = row.Scan(&known, &id, &i.Data); err == nil && id != nil {
				i.ID = *id
			}
			return i, err
		})
	switch {
	case err != nil:
	case len(rows) == 0:
		err = ErrNotFound
	case !known:
		err = ErrNoItem
	}
	if err != nil {
		return nil, fmt.Errorf("list the items of conversation %s: %w", p.Conversation, err)
	}
	if rows[0].Data == nil {
		return nil, nil
	}
	return rows, nil
}

const conversationItemSQL = `
SELECT i.item_id, i.data
  FROM conversations v LEFT JOIN conversation_items i ON i.tenant = @tenant AND i.item_id = @item AND i.conversation_id = v.id
 WHERE v.id = @id AND v.tenant = @tenant`

// ConversationItem reads one item. ErrNotFound: the tenant has no such conversation. ErrNoItem: there is no such item in it.
func (s *Store) ConversationItem(ctx context.Context, tenant string, conversation uuid.UUID, item string) ([]byte, error) {
	found, err := postgres.Query(ctx, s.db, conversationItemSQL, postgres.Args{"id": conversation, "tenant": tenant, "item": item},
		func(row pgx.CollectableRow) (data []byte, err error) {
			var id *string
			return data, row.Scan(&id, &data)
		})
	switch {
	case err != nil:
	case len(found) == 0:
		err = ErrNotFound
	case found[0] == nil:
		err = ErrNoItem
	}
	if err != nil {
		return nil, fmt.Errorf("read an item of conversation %s: %w", conversation, err)
	}
	return found[0], nil
}

const spokenSQL = `
SELECT i.data
  FROM conversations v
  LEFT JOIN LATERAL (
    SELECT n.place, n.data FROM conversation_items n WHERE n.conversation_id = v.id ORDER BY n.place LIMIT @most) i ON true
 WHERE v.id = @id AND v.tenant = @tenant ORDER BY i.place`

// Spoken reads all items of a conversation, oldest first, for a response in flight on it: that was accepted while there were
// [MaxConversationItems] at most, and nothing is added before it ends. ErrNotFound: the conversation was deleted.
func (s *Store) Spoken(ctx context.Context, tenant string, conversation uuid.UUID) ([][]byte, error) {
	all, err := postgres.Query(ctx, s.db, spokenSQL, postgres.Args{"id": conversation, "tenant": tenant, "most": MaxConversationItems}, pgx.RowTo[[]byte])
	if err == nil && len(all) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load conversation %s: %w", conversation, err)
	}
	if all[0] == nil {
		return nil, nil
	}
	return all, nil
}
