-- +goose NO TRANSACTION
-- +goose Up

-- erased: the payloads of a request that is not stored were deleted, and the audit trail
-- is left. keyed: such a request was accepted with an Idempotency-Key, whose repeats are
-- answered from its payloads while the key is remembered.
ALTER TABLE requests
    ADD COLUMN IF NOT EXISTS erased boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS keyed boolean NOT NULL DEFAULT false;
UPDATE requests r SET keyed = true
  FROM idempotency i WHERE r.id = i.made AND i.held_until IS NULL AND NOT r.stored AND NOT r.keyed;

-- The purge of their payloads reads it, oldest end first; that of rows reads the primary
-- key, which is in the order of time. The index is built beside live traffic; an
-- interrupted build leaves an invalid index, which is dropped first.
DROP INDEX CONCURRENTLY IF EXISTS requests_unstored;
CREATE INDEX CONCURRENTLY requests_unstored ON requests (finished_at)
    WHERE NOT stored AND NOT live AND NOT erased AND NOT keyed AND finished_at IS NOT NULL;
