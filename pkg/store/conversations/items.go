package conversations

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Item is a stored item of a conversation.
type Item struct {
	ID   string
	Data []byte
}

// Page names a page of a conversation: up to Limit items behind the one with
// the id After.
type Page struct {
	Tenant       string
	Conversation uuid.UUID
	OldestFirst  bool
	After        string // empty: the first page
	Limit        int
}

// A conversation without items and an unknown cursor both give one row of
// nulls; the first column tells them apart.
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
	pageDownSQL = pageSQL + `
       AND n.place < COALESCE(a.place, 9223372036854775807) ORDER BY n.place DESC LIMIT @limit) i ON true
 WHERE v.id = @id AND v.tenant = @tenant ORDER BY i.place DESC`
)

// ErrNoItem means that a conversation has no such item.
var ErrNoItem = errors.New("no such item")

// Items returns a page of a conversation. It returns ErrNotFound if the tenant
// has no such conversation, and ErrNoItem if it has no item with the id After.
func (s *Store) Items(ctx context.Context, p Page) ([]Item, error) {
	sql := pageDownSQL
	if p.OldestFirst {
		sql = pageUpSQL
	}
	known := true
	a := postgres.Args{"id": p.Conversation, "tenant": p.Tenant, "after": p.After, "limit": p.Limit}
	rows, err := postgres.Query(ctx, s.db, sql, a, func(row pgx.CollectableRow) (i Item, err error) {
		var id *string
		if err = row.Scan(&known, &id, &i.Data); err == nil && id != nil {
			i.ID = *id
		}
		return i, err
	})
	switch {
	case err != nil:
	case len(rows) == 0:
		err = postgres.ErrNotFound
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

const itemSQL = `
SELECT i.item_id, i.data
  FROM conversations v LEFT JOIN conversation_items i ON i.tenant = @tenant AND i.item_id = @item
      AND i.conversation_id = v.id
 WHERE v.id = @id AND v.tenant = @tenant`

// Item returns one item. It returns ErrNotFound if the tenant has no such
// conversation, and ErrNoItem if the conversation has no such item.
func (s *Store) Item(ctx context.Context, tenant string, conversation uuid.UUID, item string) ([]byte, error) {
	a := postgres.Args{"id": conversation, "tenant": tenant, "item": item}
	data, err := postgres.QueryOne(ctx, s.db, itemSQL, a, func(row pgx.CollectableRow) (data []byte, err error) {
		var id *string
		return data, row.Scan(&id, &data)
	})
	if err == nil && data == nil {
		err = ErrNoItem
	}
	if err != nil {
		return nil, fmt.Errorf("read an item of conversation %s: %w", conversation, err)
	}
	return data, nil
}

const historySQL = `
SELECT i.data
  FROM conversations v
  LEFT JOIN LATERAL (
    SELECT n.place, n.data FROM conversation_items n WHERE n.conversation_id = v.id ORDER BY n.place
        LIMIT @most) i ON true
 WHERE v.id = @id AND v.tenant = @tenant ORDER BY i.place`

// History returns all items of a conversation, oldest first, for a response in
// flight on it: the response was accepted with at most [MaxItems] items, and no
// item is added before it ends. It returns ErrNotFound if the conversation was
// deleted.
func (s *Store) History(ctx context.Context, tenant string, conversation uuid.UUID) ([][]byte, error) {
	a := postgres.Args{"id": conversation, "tenant": tenant, "most": MaxItems}
	all, err := postgres.Query(ctx, s.db, historySQL, a, pgx.RowTo[[]byte])
	if err == nil && len(all) == 0 {
		err = postgres.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("load conversation %s: %w", conversation, err)
	}
	if all[0] == nil {
		return nil, nil
	}
	return all, nil
}
