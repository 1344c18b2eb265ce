-- +goose Up

-- What was done with an Idempotency-Key. made is the id of what it stands for: a request,
-- whose accept wrote the row or, if held_until is set, something else, whose response is
-- stored here. Until held_until its holder makes it; after that the next caller does,
-- under the same id. The row has no payload of a request, so that a key outlives it.
CREATE TABLE idempotency (
    tenant     text NOT NULL,
    key        text NOT NULL,
    hash       bytea NOT NULL,
    made       uuid NOT NULL,
    held_until timestamptz,
    status     smallint,
    answer     bytea,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, key),

    CONSTRAINT hash_is_sha256 CHECK (octet_length(hash) = 32),
    CONSTRAINT answer_has_a_status CHECK ((status IS NULL) = (answer IS NULL)),
    CONSTRAINT answer_was_held CHECK (answer IS NULL OR held_until IS NOT NULL)
);

-- The purge reads it.
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

-- The use of tenants that have limits, as the times at which their allowances are whole
-- again. token_cost is the time in seconds in which one token refills, as the gateways
-- know it, for settlements; 0: tokens are not counted.
CREATE TABLE budgets (
    tenant         text PRIMARY KEY,
    requests_until timestamptz NOT NULL DEFAULT now(),
    tokens_until   timestamptz NOT NULL DEFAULT now(),
    token_cost     double precision NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- The requests of a tenant that are queued or in progress, for its limit. The predicate
-- does not name the status, so that no plan for queued rows, or for rows in progress, uses
-- this index.
CREATE INDEX requests_open ON requests (tenant) WHERE finished_at IS NULL;

-- Counts them, at most to most. It is volatile, so that it sees what was committed while
-- the calling statement waited for the tenant's budget; the statement itself does not.
-- +goose StatementBegin
CREATE FUNCTION open_requests(of_tenant text, most integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE n integer;
BEGIN
    SELECT count(*) INTO n FROM (SELECT FROM requests WHERE tenant = of_tenant AND finished_at IS NULL LIMIT most) q;
    RETURN n;
END $$;
-- +goose StatementEnd

-- The registered tools that a key's requests may use; NULL: all; an empty list: none.
ALTER TABLE keys ADD COLUMN tools text[];
