package answers

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// ItemRef is the reference of an item to find.
type ItemRef struct {
	ID string
	// Request is the request that the id was made for. If the item is not in a
	// conversation, it is in that request's body, or with Answer in its final
	// object. uuid.Nil: only a conversation may have it.
	Request uuid.UUID
	Answer  bool
}

// Source is where items may be: the body of a request as it was accepted, or
// with Answer its final object.
type Source struct {
	Request uuid.UUID
	Answer  bool
}

// FoundItems is the result of [Store.FindItems].
type FoundItems struct {
	Items   map[string][]byte // of conversations, by id
	Sources map[Source][]byte // that may have the other items
}

// ErrTooLarge means that the result would exceed the bytes that the caller
// allows.
var ErrTooLarge = errors.New("too large")

// An item of a conversation is found by the index of ids, in the newest
// conversation that has it; all others by the primary key of the request that
// their id names, if that is stored. Rows beyond the limit come without their
// data.
const findItemsSQL = `
WITH asked AS (
  SELECT * FROM unnest(@ids::text[], @requests::uuid[], @answers::bool[]) AS q(id, request, answer)),
kept AS (
  SELECT q.id, k.data FROM asked q CROSS JOIN LATERAL (
    SELECT i.data FROM conversation_items i WHERE i.tenant = @tenant AND i.item_id = q.id
        ORDER BY i.conversation_id DESC LIMIT 1) k),
sources AS (
  SELECT DISTINCT request, answer FROM asked q
   WHERE q.request <> ` + postgres.NilID + ` AND NOT EXISTS (SELECT FROM kept WHERE kept.id = q.id)),
found AS (
  SELECT id, ` + postgres.NilID + ` AS request, false AS answer, data FROM kept
  UNION ALL
  SELECT '', r.id, s.answer, b.data
    FROM sources s
    JOIN requests r ON r.id = s.request AND r.tenant = @tenant AND r.stored AND r.endpoint = 'responses'
    JOIN bodies b ON b.request_id = r.id AND b.kind = CASE WHEN s.answer THEN 'answer' ELSE 'request' END
   WHERE r.id = ANY (@requests::uuid[]) AND b.request_id = ANY (@requests::uuid[])),
summed AS (
  SELECT *, sum(octet_length(data)) OVER (ROWS UNBOUNDED PRECEDING) AS upto FROM found)
SELECT id, request, answer, CASE WHEN upto <= @most THEN data END FROM summed`

// FindItems finds a tenant's items. It returns ErrTooLarge if they have more
// than most bytes. Items that are not stored, or belong to another tenant, are
// left out.
func (s *Store) FindItems(ctx context.Context, tenant string, refs []ItemRef, most int64) (FoundItems, error) {
	found := FoundItems{Items: map[string][]byte{}, Sources: map[Source][]byte{}}
	tooLarge := false
	_, err := postgres.Query(ctx, s.db, findItemsSQL, postgres.Args{
		"tenant":   tenant,
		"most":     most,
		"ids":      postgres.Column(refs, func(r ItemRef) string { return r.ID }),
		"requests": postgres.IDs(refs, func(r ItemRef) uuid.UUID { return r.Request }),
		"answers":  postgres.Column(refs, func(r ItemRef) bool { return r.Answer }),
	}, func(row pgx.CollectableRow) (none struct{}, err error) {
		var id string
		var source Source
		var data []byte
		if err = row.Scan(&id, &source.Request, &source.Answer, &data); err != nil {
			return none, err
		}
		switch {
		case data == nil:
			tooLarge = true
		case source.Request == uuid.Nil:
			found.Items[id] = data
		default:
			found.Sources[source] = data
		}
		return none, nil
	})
	if err == nil && tooLarge {
		err = ErrTooLarge
	}
	if err != nil {
		return FoundItems{}, fmt.Errorf("find %d items: %w", len(refs), err)
	}
	return found, nil
}
