package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"windlass.dev/windlass/pkg/store/postgres"
)

// NewKey is an API key to be kept. Who has its secret is who made it.
type NewKey struct {
	ID     string
	Tenant string // ^[a-z0-9][a-z0-9_-]{0,62}$
	Name   string // for people
	Hash   []byte // 32 bytes
	Scopes []string
	Models []string      // nil: all
	Tools  []string      // registered ones; nil: all; empty: none
	TTL    time.Duration // counts from now, by the database's clock; 0: without end
	Most   int           // how many keys its tenant may have with it; 0: any number
}

// Key is an API key as it is kept.
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
	// Remaining is the time to ExpiresAt, by the database's clock: 0 or less once it has passed, the longest there is without one.
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

const keyColumns = `k.id, k.tenant, k.name, k.hash, k.scopes, k.models, k.tools, k.created_at, k.expires_at, k.revoked_at,
  extract(epoch FROM k.expires_at - now())::float8`

// MaxKeys is how many keys a tenant may have that makes them itself, the revoked ones included: rows of keys are never deleted.
const MaxKeys = 10_000

const createKeySQL = `
INSERT INTO keys AS k (id, tenant, name, hash, scopes, models, tools, expires_at)
SELECT @id, @tenant, @name, @hash, @scopes::text[], @models::text[], @tools::text[],
       CASE WHEN @ttl::float8 > 0 THEN now() + make_interval(secs => @ttl::float8) END
 WHERE @most::int = 0 OR @most > (SELECT count(*) FROM (SELECT FROM keys WHERE tenant = @tenant AND id <> @id LIMIT @most) q)
ON CONFLICT (id) DO UPDATE SET id = EXCLUDED.id WHERE k.hash = EXCLUDED.hash AND k.tenant = EXCLUDED.tenant
RETURNING ` + keyColumns

// CreateKey keeps a new key and returns it. Repeating it is harmless. ErrRepeat: there is another key with this id; ErrTooLarge: the
// tenant has n.Most keys.
func (s *Store) CreateKey(ctx context.Context, n NewKey) (*Key, error) {
	made, err := postgres.Query(ctx, s.db, createKeySQL, postgres.Args{
		"id": n.ID, "tenant": n.Tenant, "name": n.Name, "hash": n.Hash, "scopes": n.Scopes, "models": n.Models, "tools": n.Tools,
		"ttl": n.TTL.Seconds(), "most": n.Most,
	}, scanKey)
	if err == nil && len(made) == 0 {
		if _, err = s.Key(ctx, n.ID); err == nil {
			err = ErrRepeat
		} else if errors.Is(err, ErrNotFound) {
			err = ErrTooLarge
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create key %s: %w", n.ID, err)
	}
	return &made[0], nil
}

const keysByIDSQL = `SELECT ` + keyColumns + ` FROM keys k WHERE k.id = ANY (@ids::text[])`

// Key reads one key, whatever its state, in a statement shared with other readers of the same moment. ErrNotFound: there is none.
func (s *Store) Key(ctx context.Context, id string) (*Key, error) {
	k, err := s.keys.Do(ctx, id)
	if err == nil && k == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", id, err)
	}
	return k, nil
}

func (s *Store) keysByID(ctx context.Context, all []string) ([]*Key, error) {
	found, err := postgres.Query(ctx, s.db, keysByIDSQL, postgres.Args{"ids": all}, scanKey)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Key, len(found))
	for i := range found {
		byID[found[i].ID] = &found[i]
	}
	return postgres.Column(all, func(id string) *Key { return byID[id] }), nil
}

const listKeysSQL = `
SELECT ` + keyColumns + `
  FROM keys k WHERE @tenant::text = '' OR k.tenant = @tenant
 ORDER BY k.tenant, k.created_at, k.id`

// ListKeys is every key of a tenant, or of all with "", by tenant and age, the revoked ones included. For people.
func (s *Store) ListKeys(ctx context.Context, tenant string) ([]Key, error) {
	keys, err := postgres.Query(ctx, s.db, listKeysSQL, postgres.Args{"tenant": tenant}, scanKey)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

const revokeKeySQL = `
UPDATE keys k SET revoked_at = COALESCE(k.revoked_at, now()) WHERE k.id = @id AND (@tenant::text = '' OR k.tenant = @tenant)
RETURNING ` + keyColumns

// RevokeKey ends a key of a tenant, or of whomever with "", for good and returns it. Repeating it is harmless and changes nothing.
// ErrNotFound: there is none.
func (s *Store) RevokeKey(ctx context.Context, tenant, id string) (*Key, error) {
	keys, err := postgres.Query(ctx, s.db, revokeKeySQL, postgres.Args{"tenant": tenant, "id": id}, scanKey)
	if err == nil && len(keys) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("revoke key %s: %w", id, err)
	}
	return &keys[0], nil
}

func scanKey(rows pgx.CollectableRow) (Key, error) {
	var k Key
	var remaining *float64
	err := rows.Scan(&k.ID, &k.Tenant, &k.Name, &k.Hash, &k.Scopes, &k.Models, &k.Tools, &k.CreatedAt, &k.ExpiresAt, &k.RevokedAt, &remaining)
	k.Remaining = math.MaxInt64
	if remaining != nil && *remaining < k.Remaining.Seconds() {
		k.Remaining = postgres.Duration(*remaining)
	}
	return k, err
}
