package conversations

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/run"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Store reads and writes conversations. It is safe for concurrent use.
type Store struct{ db *postgres.DB }

// New returns a store on the pool.
func New(db *postgres.DB) *Store { return &Store{db: db} }

// Conversation is a conversation as a client sees it.
type Conversation struct {
	ID        uuid.UUID
	Metadata  []byte
	CreatedAt time.Time
}

const columns = `v.id, v.metadata, v.created_at`

func scan(row pgx.CollectableRow) (c Conversation, err error) {
	return c, row.Scan(&c.ID, &c.Metadata, &c.CreatedAt)
}

// ItemArgs are the arguments i_ids, i_calls, i_answers and i_data of a
// statement that adds items.
func ItemArgs(items []run.NewItem) postgres.Args {
	return postgres.Args{
		"i_ids":     postgres.Column(items, func(i run.NewItem) string { return i.ID }),
		"i_calls":   postgres.Column(items, func(i run.NewItem) []byte { return i.Calls }),
		"i_answers": postgres.Column(items, func(i run.NewItem) []byte { return i.Answers }),
		"i_data":    postgres.Column(items, func(i run.NewItem) []byte { return i.Data }),
	}
}

// NewConversation is a conversation to be created. The caller chooses the id,
// so that a create whose answer was lost can be repeated.
type NewConversation struct {
	ID       uuid.UUID
	Tenant   string
	Metadata []byte
	Items    []run.NewItem
}

const createSQL = `
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

// Create stores a conversation with its first items, in one commit. It can be
// repeated.
func (s *Store) Create(ctx context.Context, n NewConversation) error {
	a := ItemArgs(n.Items)
	a["id"], a["tenant"], a["metadata"] = n.ID, n.Tenant, n.Metadata
	if _, err := s.db.Exec(ctx, createSQL, a); err != nil {
		return fmt.Errorf("create conversation %s: %w", n.ID, err)
	}
	return nil
}

const readSQL = `
SELECT ` + columns + ` FROM conversations v WHERE v.id = @id AND v.tenant = @tenant`

// Read returns a conversation of a tenant. It returns ErrNotFound if the tenant
// has no such conversation.
func (s *Store) Read(ctx context.Context, tenant string, id uuid.UUID) (Conversation, error) {
	return s.one(ctx, "read", readSQL, postgres.Args{"id": id, "tenant": tenant})
}

const setMetadataSQL = `
UPDATE conversations v SET metadata = @metadata WHERE v.id = @id AND v.tenant = @tenant
RETURNING ` + columns

// SetMetadata replaces a conversation's metadata, also while a response is in
// flight on it. It returns ErrNotFound if the tenant has no such conversation.
func (s *Store) SetMetadata(ctx context.Context, tenant string, id uuid.UUID, metadata []byte) (Conversation, error) {
	a := postgres.Args{"id": id, "tenant": tenant, "metadata": metadata}
	return s.one(ctx, "set the metadata of", setMetadataSQL, a)
}

// The foreign key deletes the items, those included that were committed after
// this statement began.
const deleteSQL = `
DELETE FROM conversations v WHERE v.id = @id AND v.tenant = @tenant
RETURNING ` + columns

// Delete removes a conversation with its items, even while a response is in
// flight on it: that response fails to load its history at its next turn, and
// adds no items at its end. It returns ErrNotFound if the tenant has no such
// conversation.
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	_, err := s.one(ctx, "delete", deleteSQL, postgres.Args{"id": id, "tenant": tenant})
	return err
}

func (s *Store) one(ctx context.Context, verb, sql string, a postgres.Args) (Conversation, error) {
	c, err := postgres.QueryOne(ctx, s.db, sql, a, scan)
	if err != nil {
		return Conversation{}, fmt.Errorf("%s conversation %s: %w", verb, a["id"], err)
	}
	return c, nil
}
