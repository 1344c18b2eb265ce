-- +goose Up

-- The conversation that a request continues. A completed or incomplete request adds its
-- items to it. It may have been deleted.
ALTER TABLE requests ADD COLUMN conversation uuid;

-- Every accept of a response on the conversation, and every change of its items,
-- raises version and writes its own id to changed_by. A request in changed_by locks the
-- conversation while it is queued or in progress. Items and bytes are counted, so that a
-- conversation that is too long is found without reading it.
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

-- One row per item, in the order of places, which have gaps where items were deleted.
-- calls is the call id of a function_call, answers that of a function_call_output: bytes,
-- because a model or a client wrote them. The foreign key keeps statements from adding
-- items to a conversation that is being deleted, and deletes those added just before.
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

-- A conversation has an item once. Item references find it by its id among all items of
-- the tenant.
CREATE UNIQUE INDEX conversation_items_id ON conversation_items (tenant, item_id, conversation_id);
