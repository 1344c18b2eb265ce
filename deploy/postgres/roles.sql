-- The roles of Windlass, one for each service. Run this once per server, as a
-- superuser or a role with CREATEROLE; it can be repeated. The roles have no
-- password yet: give them one, or let them log in with client certificates.
--
--   psql -f deploy/postgres/roles.sql
--
-- windlass_owner owns the database and its tables, and only migrates.
-- windlass_keys is for the command "windlass keys", windlass_ro for people.
-- tool-runner has no database. What each may do is in grants.sql.
DO $$
DECLARE name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['windlass_owner', 'windlass_gateway', 'windlass_claimer', 'windlass_orchestrator',
                                'windlass_finalizer', 'windlass_keys', 'windlass_ro'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
        CONTINUE WHEN name = 'windlass_owner';
        -- The services set the same for each session; this holds for any other client.
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''5s''', name);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''2s''', name);
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''10s''', name);
    END LOOP;
END $$;
ALTER ROLE windlass_ro SET statement_timeout = '30s';
