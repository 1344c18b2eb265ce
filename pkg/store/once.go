package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// remembered is how long an idempotency key is good for, from the latest end of what was asked with it.
const remembered = `interval '24 hours'`

// Once is an idempotency key of a client, and the SHA-256 of what it came with. Tenants don't share keys.
type Once struct {
	Key  string
	Hash []byte
}

// Seen is what was done with an idempotency key.
type Seen struct {
	ID   uuid.UUID // of what was made with it, or is being made
	Hash []byte
	// Request: it is a request, accepted in the commit that took the key; the rest is empty.
	Request bool
	Status  int    // of the answer; 0: there is none yet
	Answer  []byte // nil: it was not kept
	// HeldFor is how long its holder may still be at it; 0 or less: whoever comes next goes on.
	HeldFor time.Duration
}

type seenKey struct{ tenant, key string }

const seenSQL = `
SELECT w.ord, i.made, i.hash, i.held_until IS NULL, COALESCE(i.status, 0), i.answer,
       COALESCE(extract(epoch FROM i.held_until - now()), 0)::float8
  FROM unnest(@tenants::text[], @keys::text[]) WITH ORDINALITY AS w(tenant, key, ord)
 CROSS JOIN LATERAL (SELECT * FROM idempotency WHERE tenant = w.tenant AND key = w.key LIMIT 1) i`

// Seen reads what was done with a tenant's idempotency key, in a statement shared with other readers of the same moment.
// ErrNotFound: nothing.
func (s *Store) Seen(ctx context.Context, tenant, key string) (*Seen, error) {
	seen, err := s.seen.Do(ctx, seenKey{tenant, key})
	if err == nil && seen == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("look for an idempotency key: %w", err)
	}
	return seen, nil
}

func (s *Store) seenAll(ctx context.Context, all []seenKey) ([]*Seen, error) {
	rows, err := s.db.Send(ctx, seenSQL, postgres.Args{
		"tenants": postgres.Column(all, func(k seenKey) string { return k.tenant }),
		"keys":    postgres.Column(all, func(k seenKey) string { return k.key }),
	})
	if err != nil {
		return nil, err
	}
	out := make([]*Seen, len(all))
	var place int64
	var held float64
	var one Seen
	_, err = pgx.ForEachRow(rows, []any{&place, &one.ID, &one.Hash, &one.Request, &one.Status, &one.Answer, &held}, func() error {
		found := one
		found.HeldFor = postgres.Duration(held)
		out[place-1] = &found
		return nil
	})
	return out, err
}

// A holder that has not said how it ended by its time has died, or is so slow that it may be taken for dead: what both of them
// make has the same id.
const holdSQL = `
INSERT INTO idempotency AS i (tenant, key, hash, made, held_until, expires_at)
VALUES (@tenant, @key, @hash, @id, now() + make_interval(secs => @hold), now() + ` + remembered + `)
ON CONFLICT (tenant, key) DO UPDATE SET held_until = EXCLUDED.held_until
  WHERE i.held_until <= now() AND i.status IS NULL AND i.hash = EXCLUDED.hash
RETURNING made`

// Hold takes a tenant's idempotency key for what is no request, and says under which id it is to be made: the one given, or that
// of a holder that did not come to its end within its time. The holder ends with Keep or Release. ErrRepeat: another holds the
// key, or has come to an end with it, or it stands for something else; Seen tells.
func (s *Store) Hold(ctx context.Context, tenant string, once Once, id uuid.UUID, hold time.Duration) (uuid.UUID, error) {
	made, err := postgres.Query(ctx, s.db, holdSQL, postgres.Args{
		"tenant": tenant, "key": once.Key, "hash": once.Hash, "id": id, "hold": hold.Seconds(),
	}, pgx.RowTo[uuid.UUID])
	if err == nil && len(made) == 0 {
		err = ErrRepeat
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("hold an idempotency key: %w", err)
	}
	return made[0], nil
}

const keepSQL = `
UPDATE idempotency SET status = @status, answer = @answer, held_until = now()
 WHERE tenant = @tenant AND key = @key AND made = @id AND held_until IS NOT NULL AND status IS NULL
RETURNING made`

// Keep ends a hold with the answer that every repeat of the key gets. ErrStale: the id does not hold the key, or an answer was kept
// before.
func (s *Store) Keep(ctx context.Context, tenant, key string, id uuid.UUID, status int, answer []byte) error {
	kept, err := postgres.Query(ctx, s.db, keepSQL, postgres.Args{"tenant": tenant, "key": key, "id": id, "status": status, "answer": answer}, pgx.RowTo[uuid.UUID])
	if err == nil && len(kept) == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("keep the answer of an idempotency key: %w", err)
	}
	return nil
}

const releaseSQL = `
WITH gone AS (
  DELETE FROM idempotency
   WHERE NOT @made::bool AND tenant = @tenant AND key = @key AND made = @id AND held_until IS NOT NULL AND status IS NULL)
UPDATE idempotency SET held_until = now()
 WHERE @made::bool AND tenant = @tenant AND key = @key AND made = @id AND held_until > now() AND status IS NULL`

// Release ends a hold without an answer. Where something may have been made, the next one who comes with the key goes on under the
// same id; where nothing was, the key is as if it had never been used. Repeating it is harmless.
func (s *Store) Release(ctx context.Context, tenant, key string, id uuid.UUID, maybeMade bool) error {
	if _, err := s.db.Exec(ctx, releaseSQL, postgres.Args{"tenant": tenant, "key": key, "id": id, "made": maybeMade}); err != nil {
		return fmt.Errorf("release an idempotency key: %w", err)
	}
	return nil
}

const forgetSQL = `
WITH old AS (
  SELECT tenant, key FROM idempotency WHERE expires_at <= now() ORDER BY expires_at LIMIT @n FOR UPDATE SKIP LOCKED),
gone AS (
  DELETE FROM idempotency i USING old WHERE i.tenant = old.tenant AND i.key = old.key
  RETURNING i.made),
let_go AS (
  UPDATE requests SET keyed = false WHERE id = ANY (ARRAY(SELECT made FROM gone)) AND keyed)
SELECT made FROM gone`

// Forget purges up to n idempotency keys whose time is over, and says how many there were. The payloads that were kept for their repeats
// are Erase's from then on.
func (s *Store) Forget(ctx context.Context, n int) (int, error) {
	gone, err := postgres.Query(ctx, s.db, forgetSQL, postgres.Args{"n": n}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, fmt.Errorf("forget old idempotency keys: %w", err)
	}
	return len(gone), nil
}
