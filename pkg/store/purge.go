package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// Purged is a request that a purge has taken something of.
type Purged struct {
	ID    uuid.UUID
	Tools bool // it had calls of registered tools: what they gave may still be on the bus
}

// Sweep is a piece of a walk over all requests, oldest first.
type Sweep struct {
	Gone []Purged
	// Looked counts the requests that were looked at; fewer than were to be: there are no others that are old enough to look at.
	Looked int
	Last   uuid.UUID // the last of them; if there was none, what the piece is behind
	// Clear is the id up to which none is left that a later walk would have to look at.
	Clear uuid.UUID
}

// Ids are in the order of time, so that what may be old enough ends at an id: the digits are those of the time in milliseconds.
//
// Requests are locked in the order of ids, as everywhere. Who holds one writes to it, and it is looked at again. The rest of a request is
// found by its id alone, so that nothing of it is left where only one table was reached: all of it goes in one commit.
const purgeSQL = `
WITH looked AS (
  SELECT id FROM requests
   WHERE id > @above
     AND id < (lpad(to_hex(GREATEST(extract(epoch FROM now() - make_interval(secs => @kept)) * 1000, 0)::bigint), 12, '0') || repeat('0', 20))::uuid
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

// Purge looks at up to n requests behind an id, and deletes those that ended longer ago than kept, with all their payloads. What
// continues them has lost its history. Conversations keep their items.
func (s *Store) Purge(ctx context.Context, kept time.Duration, behind uuid.UUID, n int) (Sweep, error) {
	type found struct {
		Purged
		gone bool
	}
	all, err := postgres.Query(ctx, s.db, purgeSQL, postgres.Args{"kept": kept.Seconds(), "above": behind, "n": n}, func(row pgx.CollectableRow) (f found, err error) {
		return f, row.Scan(&f.ID, &f.gone, &f.Tools)
	})
	if err != nil {
		return Sweep{}, fmt.Errorf("purge requests behind %s: %w", behind, err)
	}
	w := Sweep{Looked: len(all), Last: behind, Clear: behind}
	clear := true
	for _, f := range all {
		w.Last = f.ID
		if !f.gone {
			clear = false
			continue
		}
		if clear {
			w.Clear = f.ID
		}
		w.Gone = append(w.Gone, f.Purged)
	}
	return w, nil
}

// The audit trail stays: when, how long, how many tokens, and of what a step failed.
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

// Erase takes away the payloads of up to n requests that are not stored and ended longer ago than kept, but for those with an
// idempotency key that is still remembered.
func (s *Store) Erase(ctx context.Context, kept time.Duration, n int) ([]Purged, error) {
	gone, err := postgres.Query(ctx, s.db, eraseSQL, postgres.Args{"kept": kept.Seconds(), "n": n}, func(row pgx.CollectableRow) (p Purged, err error) {
		return p, row.Scan(&p.ID, &p.Tools)
	})
	if err != nil {
		return nil, fmt.Errorf("erase payloads of requests that are not stored: %w", err)
	}
	return gone, nil
}
