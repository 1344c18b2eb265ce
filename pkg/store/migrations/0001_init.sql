-- +goose Up

-- One row per request. Narrow and hot: payloads are in bodies and steps. A step
-- changes only columns without an index, so that those updates stay on their page.
CREATE TABLE requests (
    id            uuid PRIMARY KEY,
    tenant        text NOT NULL,
    endpoint      text NOT NULL,
    model         text NOT NULL,
    lane          text NOT NULL,
    tier          smallint NOT NULL,
    background    boolean NOT NULL,
    status        text NOT NULL DEFAULT 'queued',
    stage         text NOT NULL DEFAULT 'model',
    live          boolean NOT NULL DEFAULT false,
    epoch         integer NOT NULL DEFAULT 0,
    turn          integer NOT NULL DEFAULT 0,
    attempt       integer NOT NULL DEFAULT 0,
    pending       integer NOT NULL DEFAULT 0,
    failures      integer NOT NULL DEFAULT 0,
    crashes       integer NOT NULL DEFAULT 0,
    outcome       text,
    reason        text,
    vft           double precision NOT NULL,
    not_before    timestamptz,
    check_at      timestamptz,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    deadline      timestamptz NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    started_at    timestamptz,
    finished_at   timestamptz,
    input_tokens  bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    trace         text NOT NULL DEFAULT '',

    CONSTRAINT status_known CHECK (status IN
        ('queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled', 'expired')),
    CONSTRAINT stage_known CHECK (stage IN ('model', 'tools', 'settle')),
    CONSTRAINT outcome_known CHECK (outcome IS NULL OR outcome IN ('completed', 'incomplete', 'failed')),
    CONSTRAINT queued_is_untouched CHECK (status <> 'queued' OR (finished_at IS NULL AND NOT live)),
    CONSTRAINT in_progress_is_watched CHECK (status <> 'in_progress'
        OR (live AND check_at IS NOT NULL AND epoch > 0 AND turn > 0 AND attempt > 0 AND finished_at IS NULL)),
    CONSTRAINT terminal_is_finished CHECK (status IN ('queued', 'in_progress') OR finished_at IS NOT NULL),
    CONSTRAINT live_is_watched CHECK (live = (check_at IS NOT NULL)),
    CONSTRAINT pending_matches_stage CHECK (status <> 'in_progress' OR (stage = 'tools') = (pending > 0)),
    CONSTRAINT settle_has_outcome CHECK (status <> 'in_progress' OR stage <> 'settle' OR outcome IS NOT NULL)
) WITH (fillfactor = 70,
        autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0.1);

-- The claim reads the first one, an accept the ends of both.
CREATE INDEX requests_queue ON requests (lane, tier, vft, id) WHERE status = 'queued';
CREATE INDEX requests_queue_tenant ON requests (tenant, lane, tier, vft) WHERE status = 'queued';
CREATE INDEX requests_queue_deadline ON requests (deadline) WHERE status = 'queued';
-- The sweep reads it. It does not contain check_at, which changes with every step.
CREATE INDEX requests_live ON requests (id) WHERE live;

-- Request bodies and final answers; rows are written once.
CREATE TABLE bodies (
    request_id uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('request', 'answer')),
    data       bytea NOT NULL,
    PRIMARY KEY (request_id, kind)
);

-- One row per step: index 0 is the turn's model call, 1 and up are the tool calls it
-- requested. The commit that makes a step due writes its row, and the commit that
-- finishes it updates it once. There is no foreign key: its check would cost a lookup
-- and a row lock per step, and only statements that hold the request's row write here.
CREATE TABLE steps (
    request_id    uuid NOT NULL,
    turn          integer NOT NULL CHECK (turn > 0),
    idx           integer NOT NULL CHECK (idx >= 0),
    kind          text NOT NULL CHECK (kind IN ('model', 'tool')),
    name          text NOT NULL,
    pool          text NOT NULL DEFAULT '',
    call_id       text NOT NULL DEFAULT '',
    state         text NOT NULL,
    attempt       integer NOT NULL DEFAULT 1,
    input         bytea,
    input_hash    bytea,
    output        bytea,
    error         bytea,
    input_tokens  bigint,
    output_tokens bigint,
    not_before    timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    took_us       bigint,
    PRIMARY KEY (request_id, turn, idx),
    CONSTRAINT state_known CHECK (state IN ('dispatched', 'done', 'failed')),
    CONSTRAINT finished_with_state CHECK ((state = 'dispatched') = (finished_at IS NULL)),
    CONSTRAINT index_matches_kind CHECK ((kind = 'model') = (idx = 0))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
-- Payloads are not compressed: the model's text is short, and CPU is what is scarce.
ALTER TABLE steps ALTER COLUMN input SET STORAGE EXTERNAL, ALTER COLUMN output SET STORAGE EXTERNAL;
ALTER TABLE bodies ALTER COLUMN data SET STORAGE EXTERNAL;
