// Package retention deletes requests and their payloads: on a client's request,
// and by age.
//
// # Promises
//
//   - A request goes in one commit with its steps, bodies and labels; rows of
//     one table are never left behind (TestDeleteTakesEverythingOfOneRequest,
//     TestPurgeTakesWhatEndedLongAgo).
//   - Requests that continue a deleted one stay, and their history has a gap
//     that a reader sees (TestPurgeEndsTheLine). Conversations keep their
//     items.
//   - Only terminal requests are deleted; several purges may run side by side
//     (TestPurgesBesideEachOther).
//   - Erasing payloads keeps the audit trail: when, how long, how many tokens,
//     and why a step failed (TestEraseTakesPayloadsOfWhatIsNotStored).
//
// Idempotency keys are purged by package idempotency.
package retention

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Store deletes requests. It is safe for concurrent use.
type Store struct{ db *postgres.DB }

// New returns a store on the pool.
func New(db *postgres.DB) *Store { return &Store{db: db} }

// Purged is a request that was deleted, or whose payloads were.
type Purged struct {
	ID    uuid.UUID
	Tools bool // it had calls of registered tools: their results may still be on the bus
}

// Page is a page of a walk over all requests, oldest first.
type Page struct {
	Gone []Purged
	// Looked counts the requests of the page. If it is less than the page's
	// size, no other request is old enough.
	Looked int
	Last   uuid.UUID // the last request of the page; of an empty page, the id it starts behind
	// Clear is the id up to which everything is deleted: a later walk may start
	// there.
	Clear uuid.UUID
}

// Ids are in the order of time, so that the requests that may be old enough end
// at an id: its first 12 digits are the time in milliseconds.
//
// Requests are locked in the order of ids, as everywhere. A request that is
// locked by another statement is left to a later walk.
const purgeSQL = `
WITH looked AS (
  SELECT id FROM requests
   WHERE id > @above
     AND id < (lpad(to_hex(GREATEST(extract(epoch FROM now() - make_interval(secs => @kept)) * 1000, 0)::bigint),
                    12, '0') || repeat('0', 20))::uuid
   ORDER BY id LIMIT @n),
old AS (
  SELECT r.id FROM requests r
   WHERE r.id = ANY (ARRAY(SELECT id FROM looked)) AND NOT r.live AND r.status NOT IN ('queued', 'in_progress')
     AND r.finished_at <= now() - make_interval(secs => @kept)
   ORDER BY r.id FOR UPDATE SKIP LOCKED),
gone AS (
  DELETE FROM requests WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING id),
no_steps AS (
  DELETE FROM steps WHERE request_id = ANY (ARRAY(SELECT id FROM old)) RETURNING request_id, kind),
no_bodies AS (
  DELETE FROM bodies WHERE request_id = ANY (ARRAY(SELECT id FROM old))),
no_labels AS (
  DELETE FROM labels WHERE request_id = ANY (ARRAY(SELECT id FROM old)))
SELECT l.id, gone.id IS NOT NULL, COALESCE(t.tools, false)
  FROM looked l LEFT JOIN gone ON gone.id = l.id
  LEFT JOIN (SELECT request_id AS id, bool_or(kind = 'tool') AS tools FROM no_steps GROUP BY 1) t ON t.id = l.id
 ORDER BY l.id`

// Purge reads up to n requests behind an id, and deletes those that ended
// longer ago than kept, with all their payloads. Requests that continue them
// lose their history.
func (s *Store) Purge(ctx context.Context, kept time.Duration, behind uuid.UUID, n int) (Page, error) {
	type found struct {
		Purged
		gone bool
	}
	a := postgres.Args{"kept": kept.Seconds(), "above": behind, "n": n}
	all, err := postgres.Query(ctx, s.db, purgeSQL, a, func(row pgx.CollectableRow) (f found, err error) {
		return f, row.Scan(&f.ID, &f.gone, &f.Tools)
	})
	if err != nil {
		return Page{}, fmt.Errorf("purge requests behind %s: %w", behind, err)
	}
	p := Page{Looked: len(all), Last: behind, Clear: behind}
	clear := true
	for _, f := range all {
		p.Last = f.ID
		if !f.gone {
			clear = false
			continue
		}
		if clear {
			p.Clear = f.ID
		}
		p.Gone = append(p.Gone, f.Purged)
	}
	return p, nil
}

const eraseSQL = `
WITH old AS (
  SELECT id FROM requests
   WHERE NOT stored AND NOT live AND NOT erased AND NOT keyed AND finished_at IS NOT NULL
     AND finished_at <= now() - make_interval(secs => @kept)
   ORDER BY finished_at LIMIT @n FOR UPDATE SKIP LOCKED),
emptied AS (
  UPDATE steps SET input = NULL, input_hash = NULL, output = NULL WHERE request_id = ANY (ARRAY(SELECT id FROM old))
  RETURNING request_id, kind),
no_bodies AS (
  DELETE FROM bodies WHERE request_id = ANY (ARRAY(SELECT id FROM old))),
done AS (
  UPDATE requests SET erased = true WHERE id = ANY (ARRAY(SELECT id FROM old)) RETURNING id)
SELECT done.id, COALESCE(t.tools, false)
  FROM done LEFT JOIN (SELECT request_id AS id, bool_or(kind = 'tool') AS tools FROM emptied GROUP BY 1) t USING (id)`

// Erase deletes the payloads of up to n requests that are not stored and ended
// longer ago than kept, except those with an idempotency key that is still
// remembered.
func (s *Store) Erase(ctx context.Context, kept time.Duration, n int) ([]Purged, error) {
	a := postgres.Args{"kept": kept.Seconds(), "n": n}
	gone, err := postgres.Query(ctx, s.db, eraseSQL, a, func(row pgx.CollectableRow) (p Purged, err error) {
		return p, row.Scan(&p.ID, &p.Tools)
	})
	if err != nil {
		return nil, fmt.Errorf("erase payloads of requests that are not stored: %w", err)
	}
	return gone, nil
}
