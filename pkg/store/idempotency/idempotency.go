// Package idempotency keeps what was done with the idempotency keys of clients,
// in the table idempotency.
//
// A key stands either for a request, whose accept writes it in the same commit
// (store.Accept), or for something else that a holder makes between
// [Store.Hold] and [Store.Complete] or [Store.Release].
//
// # Promises
//
//   - One key stands for one thing; concurrent uses make it once
//     (TestConcurrentUsesOfAKeyMakeOneRequest, TestConcurrentHoldersOfAKey).
//   - A holder that dies does not block its key: after the hold the next caller
//     continues under the same id (TestAHolderThatDied).
//   - A key is remembered for 24 hours (TestKeysAreForgottenInTime). Tenants do
//     not share keys (TestTenantsDoNotShareKeys).
package idempotency

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/postgres"
)

// TTL is, in SQL, how long a key is remembered, from the deadline of what was
// made with it.
const TTL = `interval '24 hours'`

// ErrUsed means that the key was used before, for the same thing or another:
// nothing was written. The caller reads the use.
var ErrUsed = errors.New("the idempotency key was used before")

// Key is an idempotency key of a client, and the SHA-256 of the request that it
// came with.
type Key struct {
	Key  string
	Hash []byte
}

// Use is what was done with a key.
type Use struct {
	ID   uuid.UUID // of what was made with it, or is being made
	Hash []byte
	// Request: the key stands for a request, and the fields below are empty.
	Request bool
	Status  int    // of the response; 0: not complete
	Answer  []byte // nil: not stored
	// HeldFor is the time until another caller may continue; 0 or less: now.
	HeldFor time.Duration
}

// Store reads and writes uses of keys. It is safe for concurrent use.
type Store struct {
	db    *postgres.DB
	reads *batch.Queue[lookup, *Use]
}

// New returns a store on the pool.
func New(db *postgres.DB) *Store {
	s := &Store{db: db}
	s.reads = batch.New(1, 512, s.readAll)
	return s
}

type lookup struct{ tenant, key string }

const readSQL = `
SELECT w.ord, i.made, i.hash, i.held_until IS NULL, COALESCE(i.status, 0), i.answer,
       COALESCE(extract(epoch FROM i.held_until - now()), 0)::float8
  FROM unnest(@tenants::text[], @keys::text[]) WITH ORDINALITY AS w(tenant, key, ord)
 CROSS JOIN LATERAL (SELECT * FROM idempotency WHERE tenant = w.tenant AND key = w.key LIMIT 1) i`

// Read returns what was done with a tenant's key, in a statement shared with
// concurrent reads. It returns ErrNotFound if the key is unused.
func (s *Store) Read(ctx context.Context, tenant, key string) (*Use, error) {
	use, err := s.reads.Do(ctx, lookup{tenant, key})
	if err == nil && use == nil {
		err = postgres.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read an idempotency key: %w", err)
	}
	return use, nil
}

func (s *Store) readAll(ctx context.Context, all []lookup) ([]*Use, error) {
	rows, err := s.db.Send(ctx, readSQL, postgres.Args{
		"tenants": postgres.Column(all, func(l lookup) string { return l.tenant }),
		"keys":    postgres.Column(all, func(l lookup) string { return l.key }),
	})
	if err != nil {
		return nil, err
	}
	out := make([]*Use, len(all))
	var place int64
	var held float64
	var u Use
	targets := []any{&place, &u.ID, &u.Hash, &u.Request, &u.Status, &u.Answer, &held}
	_, err = pgx.ForEachRow(rows, targets, func() error {
		use := u
		use.HeldFor = postgres.Duration(held)
		out[place-1] = &use
		return nil
	})
	return out, err
}

// A holder whose time is over has died or is slow enough to be taken for dead:
// both make the thing under the same id.
const holdSQL = `
INSERT INTO idempotency AS i (tenant, key, hash, made, held_until, expires_at)
VALUES (@tenant, @key, @hash, @id, now() + make_interval(secs => @hold), now() + ` + TTL + `)
ON CONFLICT (tenant, key) DO UPDATE SET held_until = EXCLUDED.held_until
  WHERE i.held_until <= now() AND i.status IS NULL AND i.hash = EXCLUDED.hash
RETURNING made`

// Hold takes a tenant's key for something other than a request and returns the
// id under which the caller makes it: the one given, or that of a holder whose
// hold expired. The holder ends with Complete or Release. It returns ErrUsed if
// another caller holds the key or has completed it, or if the key stands for
// something else; Read says which.
func (s *Store) Hold(ctx context.Context, tenant string, k Key, id uuid.UUID, hold time.Duration) (uuid.UUID, error) {
	made, err := postgres.QueryOne(ctx, s.db, holdSQL, postgres.Args{
		"tenant": tenant, "key": k.Key, "hash": k.Hash, "id": id, "hold": hold.Seconds(),
	}, pgx.RowTo[uuid.UUID])
	if errors.Is(err, postgres.ErrNotFound) {
		err = ErrUsed
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("hold an idempotency key: %w", err)
	}
	return made, nil
}

const completeSQL = `
UPDATE idempotency SET status = @status, answer = @answer, held_until = now()
 WHERE tenant = @tenant AND key = @key AND made = @id AND held_until IS NOT NULL AND status IS NULL
RETURNING made`

// Complete ends a hold with the response that every repeat of the key gets. It
// returns ErrStale if the id does not hold the key, or the key was completed
// before.
func (s *Store) Complete(ctx context.Context, tenant, key string, id uuid.UUID, status int, answer []byte) error {
	a := postgres.Args{"tenant": tenant, "key": key, "id": id, "status": status, "answer": answer}
	_, err := postgres.QueryOne(ctx, s.db, completeSQL, a, pgx.RowTo[uuid.UUID])
	if errors.Is(err, postgres.ErrNotFound) {
		err = postgres.ErrStale
	}
	if err != nil {
		return fmt.Errorf("complete an idempotency key: %w", err)
	}
	return nil
}

const releaseSQL = `
WITH gone AS (
  DELETE FROM idempotency
   WHERE NOT @made::bool AND tenant = @tenant AND key = @key AND made = @id AND held_until IS NOT NULL
       AND status IS NULL)
UPDATE idempotency SET held_until = now()
 WHERE @made::bool AND tenant = @tenant AND key = @key AND made = @id AND held_until > now() AND status IS NULL`

// Release ends a hold without a response. If something may have been made, the
// next caller with the key continues under the same id; if not, the key is
// unused again. Release can be repeated.
func (s *Store) Release(ctx context.Context, tenant, key string, id uuid.UUID, maybeMade bool) error {
	a := postgres.Args{"tenant": tenant, "key": key, "id": id, "made": maybeMade}
	if _, err := s.db.Exec(ctx, releaseSQL, a); err != nil {
		return fmt.Errorf("release an idempotency key: %w", err)
	}
	return nil
}

const purgeSQL = `
WITH old AS (
  SELECT tenant, key FROM idempotency WHERE expires_at <= now() ORDER BY expires_at LIMIT @n FOR UPDATE SKIP LOCKED),
gone AS (
  DELETE FROM idempotency i USING old WHERE i.tenant = old.tenant AND i.key = old.key
  RETURNING i.made),
let_go AS (
  UPDATE requests SET keyed = false WHERE id = ANY (ARRAY(SELECT made FROM gone)) AND keyed)
SELECT made FROM gone`

// Purge deletes up to n expired keys and returns how many it deleted. The
// payloads that were kept for their repeats may be erased from then on.
func (s *Store) Purge(ctx context.Context, n int) (int, error) {
	gone, err := postgres.Query(ctx, s.db, purgeSQL, postgres.Args{"n": n}, pgx.RowTo[uuid.UUID])
	if err != nil {
		return 0, fmt.Errorf("purge expired idempotency keys: %w", err)
	}
	return len(gone), nil
}
