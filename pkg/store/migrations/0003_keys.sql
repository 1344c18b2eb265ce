-- +goose Up

-- API keys. The secret is not stored: hash is HMAC-SHA256(pepper, secret), and only the
-- services have the pepper. Rows are never deleted, so that an id is used once.
CREATE TABLE keys (
    id         text PRIMARY KEY,
    tenant     text NOT NULL,
    name       text NOT NULL DEFAULT '',
    hash       bytea NOT NULL,
    scopes     text[] NOT NULL,
    models     text[],
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,

    CONSTRAINT tenant_is_a_name CHECK (tenant ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    CONSTRAINT hash_is_sha256 CHECK (octet_length(hash) = 32),
    CONSTRAINT scopes_are_some CHECK (cardinality(scopes) > 0),
    CONSTRAINT models_are_some_or_all CHECK (cardinality(models) > 0)
);

-- Lists read it.
CREATE INDEX keys_tenant ON keys (tenant, created_at, id);
