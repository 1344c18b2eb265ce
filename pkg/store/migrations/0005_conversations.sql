-- +goose Up

-- The conversation that a request continues and, when it is completed or incomplete, adds its items to; it may have been deleted
-- since.
ALTER TABLE requests ADD COLUMN conversation uuid;

-- version is raised by every accept of a response on the conversation and by every change of its items, and changed_by names what
-- did it last: a request, which locks the conversation for as long as it is queued or in progress, or a write of its own id.
-- Items and bytes are counted so that nobody has to read a conversation to know that it is too long.
CREATE TABLE conversations (
    id         uuid PRIMARY KEY,
    tenant     text NOT NULL,
    metadata   bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    version    bigint NOT NULL DEFAULT 0,
    changed_by uuid,
    last_place bigint NOT NULL DEFAULT 0,
    items      integer NOT NULL DEFAULT 0 CHECK (items >= 0),
    bytes      bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0)
) WITH (fillfactor = 70);

-- One row per item, in the order of places, which have gaps where items were taken out. calls is the call id of a function_call,
-- answers that of a function_call_output: bytes, for they are what a model or a client wrote. The foreign key is what lets nothing
-- be added to a conversation that is being deleted, and takes what was added just before along.
CREATE TABLE conversation_items (
    conversation_id uuid NOT NULL REFERENCES conversations ON DELETE CASCADE,
    place           bigint NOT NULL CHECK (place > 0),
    tenant          text NOT NULL,
    item_id         text NOT NULL,
    calls           bytea,
    answers         bytea,
    data            bytea NOT NULL,
    PRIMARY KEY (conversation_id, place),
    CONSTRAINT item_id_is_short CHECK (octet_length(item_id) BETWEEN 1 AND 200),
    CONSTRAINT calls_or_answers CHECK (calls IS NULL OR answers IS NULL)
);
ALTER TABLE conversation_items ALTER COLUMN data SET STORAGE EXTERNAL;

-- An item is in a conversation once, and item references find it by its id among all of the tenant's.
CREATE UNIQUE INDEX conversation_items_id ON conversation_items (tenant, item_id, conversation_id);
