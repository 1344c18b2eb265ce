// Package keys keeps the API keys of tenants, in the table keys.
//
// It promises that a key's row is never deleted, so that a revoked key stays in
// lists and in the count that [Max] bounds (TestKeysEnd), and that creating and
// revoking can be repeated (TestKeyMadeTwiceIsOne, TestRevokeWithinATenant). It
// stores hashes only; the caller makes the secret.
package keys

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/batch"
	"windlass.dev/windlass/pkg/store/postgres"
)

// Max is how many keys a tenant may have that creates them itself, revoked ones
// included.
const Max = 10_000

var (
	// ErrExists means that another key has the same id.
	ErrExists = errors.New("another key has this id")
	// ErrTooMany means that the tenant has as many keys as it may have.
	ErrTooMany = errors.New("the tenant has too many keys")
)

// NewKey is an API key to be created.
type NewKey struct {
	ID     string
	Tenant string // ^[a-z0-9][a-z0-9_-]{0,62}$
	Name   string // for people
	Hash   []byte // 32 bytes
	Scopes []string
	Models []string      // nil: all
	Tools  []string      // registered ones; nil: all; empty: none
	TTL    time.Duration // from now, by the database's clock; 0: never expires
	Most   int           // how many keys its tenant may have with it; 0: any number
}

// Key is a stored API key.
type Key struct {
	ID        string
	Tenant    string
	Name      string
	Hash      []byte
	Scopes    []string
	Models    []string // nil: all
	Tools     []string // nil: all; empty: none
	CreatedAt time.Time
	ExpiresAt *time.Time
	RevokedAt *time.Time
	// Remaining is the time until ExpiresAt, by the database's clock: 0 or less
	// once the key has expired, math.MaxInt64 if it never does.
	Remaining time.Duration
}

// State is active, expired or revoked.
func (k *Key) State() string {
	switch {
	case k.RevokedAt != nil:
		return "revoked"
	case k.Remaining <= 0:
		return "expired"
	}
	return "active"
}

// Store reads and writes keys. It is safe for concurrent use.
type Store struct {
	db    *postgres.DB
	reads *batch.Queue[string, *Key]
}

// New returns a store on the pool.
func New(db *postgres.DB) *Store {
	s := &Store{db: db}
	s.reads = batch.New(1, 512, s.readAll) // one: a rush of unknown keys must leave connections for requests
	return s
}

const columns = `k.id, k.tenant, k.name, k.hash, k.scopes, k.models, k.tools, k.created_at, k.expires_at, k.revoked_at,
  extract(epoch FROM k.expires_at - now())::float8`

const createSQL = `
INSERT INTO keys AS k (id, tenant, name, hash, scopes, models, tools, expires_at)
SELECT @id, @tenant, @name, @hash, @scopes::text[], @models::text[], @tools::text[],
       CASE WHEN @ttl::float8 > 0 THEN now() + make_interval(secs => @ttl::float8) END
 WHERE @most::int = 0 OR @most > (SELECT count(*) FROM (SELECT FROM keys WHERE tenant = @tenant AND id <> @id
     LIMIT @most) q)
ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id WHERE k.hash = EXCLUDED.hash AND k.tenant = EXCLUDED.tenant
RETURNING ` + columns

// Create stores a new key and returns it. It can be repeated. It returns
// ErrExists if another key has this id, and ErrTooMany if the tenant has n.Most
// keys.
func (s *Store) Create(ctx context.Context, n NewKey) (*Key, error) {
	key, err := postgres.QueryOne(ctx, s.db, createSQL, postgres.Args{
		"id": n.ID, "tenant": n.Tenant, "name": n.Name, "hash": n.Hash, "scopes": n.Scopes, "models": n.Models,
		"tools": n.Tools, "ttl": n.TTL.Seconds(), "most": n.Most,
	}, scan)
	if errors.Is(err, postgres.ErrNotFound) { // nothing was written
		if _, err = s.Read(ctx, n.ID); err == nil {
			err = ErrExists
		} else if errors.Is(err, postgres.ErrNotFound) {
			err = ErrTooMany
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create key %s: %w", n.ID, err)
	}
	return &key, nil
}

const readSQL = `SELECT ` + columns + ` FROM keys k WHERE k.id = ANY (@ids::text[])`

// Read returns a key in any state, in a statement shared with concurrent reads.
// It returns ErrNotFound if no key has the id.
func (s *Store) Read(ctx context.Context, id string) (*Key, error) {
	k, err := s.reads.Do(ctx, id)
	if err == nil && k == nil {
		err = postgres.ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", id, err)
	}
	return k, nil
}

func (s *Store) readAll(ctx context.Context, ids []string) ([]*Key, error) {
	found, err := postgres.Query(ctx, s.db, readSQL, postgres.Args{"ids": ids}, scan)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Key, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	return postgres.Column(ids, func(id string) *Key { return byID[id] }), nil
}

const listSQL = `
SELECT ` + columns + `
  FROM keys k WHERE @tenant::text = '' OR k.tenant = @tenant
 ORDER BY k.tenant, k.created_at, k.id`

// List returns every key of a tenant, or of all tenants with "", by tenant and
// age, revoked ones included.
func (s *Store) List(ctx context.Context, tenant string) ([]Key, error) {
	keys, err := postgres.Query(ctx, s.db, listSQL, postgres.Args{"tenant": tenant}, scan)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

const revokeSQL = `
UPDATE keys k SET revoked_at = COALESCE(k.revoked_at, now()) WHERE k.id = @id
    AND (@tenant::text = '' OR k.tenant = @tenant)
RETURNING ` + columns

// Revoke ends a key of a tenant, or of any tenant with "", for good and returns
// it. Repeating it changes nothing. It returns ErrNotFound if the tenant has no
// such key.
func (s *Store) Revoke(ctx context.Context, tenant, id string) (*Key, error) {
	key, err := postgres.QueryOne(ctx, s.db, revokeSQL, postgres.Args{"tenant": tenant, "id": id}, scan)
	if err != nil {
		return nil, fmt.Errorf("revoke key %s: %w", id, err)
	}
	return &key, nil
}

func scan(rows pgx.CollectableRow) (Key, error) {
	var k Key
	var remaining *float64
	err := rows.Scan(&k.ID, &k.Tenant, &k.Name, &k.Hash, &k.Scopes, &k.Models, &k.Tools,
		&k.CreatedAt, &k.ExpiresAt, &k.RevokedAt, &remaining)
	k.Remaining = math.MaxInt64
	if remaining != nil && *remaining < k.Remaining.Seconds() {
		k.Remaining = postgres.Duration(*remaining)
	}
	return k, err
}
