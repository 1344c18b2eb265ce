-- The rights of the roles of roles.sql. Run this as windlass_owner, in the
-- database, after each "windlass migrate" and before services of the new
-- version start; it can be repeated while services run.
--
--   windlass migrate && psql -f deploy/postgres/grants.sql "$WINDLASS_DATABASE_URL"
BEGIN;

-- Without this each role may make temporary tables, which fill the disk.
DO $$ BEGIN EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()); END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, windlass_gateway, windlass_claimer, windlass_orchestrator,
    windlass_finalizer, windlass_keys, windlass_ro;
GRANT USAGE ON SCHEMA public TO windlass_gateway, windlass_claimer, windlass_orchestrator, windlass_finalizer,
    windlass_keys, windlass_ro;
GRANT SELECT ON goose_db_version TO windlass_gateway, windlass_claimer, windlass_orchestrator, windlass_finalizer,
    windlass_keys, windlass_ro;

-- gateway accepts, reads, cancels and deletes requests, and manages keys.
GRANT SELECT, INSERT, UPDATE, DELETE ON requests TO windlass_gateway;
GRANT SELECT, INSERT, DELETE ON bodies, steps, labels TO windlass_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON conversations TO windlass_gateway;
GRANT SELECT, INSERT, DELETE ON conversation_items TO windlass_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency TO windlass_gateway;
GRANT SELECT, INSERT, UPDATE ON budgets TO windlass_gateway;
GRANT SELECT, INSERT, UPDATE (id, revoked_at) ON keys TO windlass_gateway;
GRANT EXECUTE ON FUNCTION open_requests TO windlass_gateway;

-- claimer starts requests, sweeps, ends those past their deadline, and purges.
-- It reads no body.
GRANT SELECT, UPDATE, DELETE ON requests TO windlass_claimer;
GRANT SELECT, INSERT, UPDATE, DELETE ON steps TO windlass_claimer;
GRANT SELECT (request_id, kind), INSERT, DELETE ON bodies TO windlass_claimer;
GRANT SELECT, DELETE ON labels TO windlass_claimer;
GRANT SELECT, UPDATE ON conversations TO windlass_claimer;
GRANT SELECT (conversation_id, place, data), INSERT ON conversation_items TO windlass_claimer; -- it counts bytes
GRANT SELECT (tenant, key, made, expires_at), UPDATE (expires_at), DELETE ON idempotency TO windlass_claimer;
GRANT SELECT, UPDATE (tokens_until) ON budgets TO windlass_claimer;

-- loop-orchestrator commits turns and results.
GRANT SELECT, UPDATE ON requests TO windlass_orchestrator;
GRANT SELECT, INSERT, UPDATE ON steps TO windlass_orchestrator;
GRANT SELECT ON bodies, conversations, conversation_items TO windlass_orchestrator;

-- finalizer ends requests.
GRANT SELECT, UPDATE ON requests TO windlass_finalizer;
GRANT SELECT ON steps TO windlass_finalizer;
GRANT SELECT, INSERT ON bodies TO windlass_finalizer;
GRANT SELECT, UPDATE ON conversations TO windlass_finalizer;
GRANT SELECT (conversation_id, place, data), INSERT ON conversation_items TO windlass_finalizer; -- it counts bytes
GRANT SELECT, UPDATE (tokens_until) ON budgets TO windlass_finalizer;

-- windlass keys. A repeated insert writes the id that is there.
GRANT SELECT, INSERT, UPDATE (id, revoked_at) ON keys TO windlass_keys;

-- People see no payload of a tenant and no hash of a key.
GRANT SELECT ON requests, labels, budgets TO windlass_ro;
GRANT SELECT (request_id, kind) ON bodies TO windlass_ro;
GRANT SELECT (request_id, turn, idx, kind, name, pool, call_id, state, attempt, lost, counted, input_tokens,
    output_tokens, not_before, created_at, finished_at, took_us, place) ON steps TO windlass_ro;
GRANT SELECT (id, tenant, created_at, version, changed_by, last_place, items, bytes) ON conversations TO windlass_ro;
GRANT SELECT (conversation_id, place, tenant, item_id) ON conversation_items TO windlass_ro;
GRANT SELECT (tenant, key, made, held_until, status, expires_at) ON idempotency TO windlass_ro;
GRANT SELECT (id, tenant, name, scopes, models, tools, created_at, expires_at, revoked_at) ON keys TO windlass_ro;

COMMIT;
