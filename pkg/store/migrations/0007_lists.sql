-- +goose NO TRANSACTION
-- +goose Up

-- The indexes are built beside live traffic, which is why this is not one transaction, and why each step may be run again: one that was
-- broken off leaves an index that is not valid and has to go first.

-- What lists find stored responses by: a row for each pair of a response's metadata and for what it continues, named by a hash, so that
-- the responses of a name can be walked in the order of their ids, that is of time. There is no foreign key, for the reason that steps
-- have none. Responses that an older gateway accepts have no rows here, and lists that ask for a name do not find them.
CREATE TABLE IF NOT EXISTS labels (
    request_id uuid NOT NULL,
    label      uuid NOT NULL,
    PRIMARY KEY (request_id, label)
);
CREATE INDEX IF NOT EXISTS labels_walk ON labels (label, uuid_send(request_id));

-- What lists walk. A list of every status walks all parts of the first side by side. The ids are in them as bytes, which sort alike: no
-- plan can take the primary key for one of these.
DROP INDEX CONCURRENTLY IF EXISTS requests_by_status;
CREATE INDEX CONCURRENTLY requests_by_status ON requests (tenant, status, uuid_send(id)) WHERE stored AND endpoint = 'responses';
DROP INDEX CONCURRENTLY IF EXISTS requests_by_model;
CREATE INDEX CONCURRENTLY requests_by_model ON requests (tenant, model, status, uuid_send(id)) WHERE stored AND endpoint = 'responses';
