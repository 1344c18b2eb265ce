-- +goose NO TRANSACTION
-- +goose Up

-- The indexes are built beside live traffic, so this is not one transaction, and each
-- step can be repeated: an interrupted one leaves an invalid index, which is dropped first.

-- Lists filter stored responses by these rows: one for each pair of a response's
-- metadata and for what it continues. A label is a hash. Its responses can be read in the
-- order of their ids, which is that of time. There is no foreign key, as in steps.
-- Responses that an older gateway accepts have no rows here, and filters do not find them.
CREATE TABLE IF NOT EXISTS labels (
    request_id uuid NOT NULL,
    label      uuid NOT NULL,
    PRIMARY KEY (request_id, label)
);
CREATE INDEX IF NOT EXISTS labels_walk ON labels (label, uuid_send(request_id));

-- Lists read them. A list of every status reads all parts of the first one side by side.
-- They contain the ids as bytes, which have the same order: no plan can use the primary
-- key instead.
DROP INDEX CONCURRENTLY IF EXISTS requests_by_status;
CREATE INDEX CONCURRENTLY requests_by_status ON requests (tenant, status, uuid_send(id)) WHERE stored AND endpoint = 'responses';
DROP INDEX CONCURRENTLY IF EXISTS requests_by_model;
CREATE INDEX CONCURRENTLY requests_by_model ON requests (tenant, model, status, uuid_send(id)) WHERE stored AND endpoint = 'responses';
