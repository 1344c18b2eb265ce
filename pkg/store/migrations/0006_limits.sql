-- +goose Up

-- What was done with an Idempotency-Key. made is what it made: a request, whose key was taken by the commit that accepted it, or,
-- where held_until is set, something else, whose answer is kept here. Until then whoever holds the key makes it, and after
-- held_until the next one does, under the same id. No payload of a request is here, so that a key outlives what it made.
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

-- What the purge walks.
CREATE INDEX idempotency_expiry ON idempotency (expires_at);

-- What the tenants that have limits have used up, as the times at which their allowances are whole again. token_cost is the time in
-- seconds that a token takes to come back, as the gateways know it, for those who settle; 0: tokens are not counted.
CREATE TABLE budgets (
    tenant         text PRIMARY KEY,
    requests_until timestamptz NOT NULL DEFAULT now(),
    tokens_until   timestamptz NOT NULL DEFAULT now(),
    token_cost     double precision NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- What a tenant has queued and in progress, for its limit. The predicate does not name the status: a plan for what is queued, or in
-- progress, must not find this index.
CREATE INDEX requests_open ON requests (tenant) WHERE finished_at IS NULL;

-- Counts them, up to most. It is volatile, so that it sees what was committed while the statement that calls it waited for the
-- tenant's budget; the statement itself does not.
-- +goose StatementBegin
CREATE FUNCTION open_requests(of_tenant text, most integer) RETURNS integer LANGUAGE plpgsql VOLATILE AS $$
DECLARE n integer;
BEGIN
    SELECT count(*) INTO n FROM (SELECT FROM requests WHERE tenant = of_tenant AND finished_at IS NULL LIMIT most) q;
    RETURN n;
END $$;
-- +goose StatementEnd

-- Which registered tools a key's requests may be offered; NULL: all. An empty list is none.
ALTER TABLE keys ADD COLUMN tools text[];
