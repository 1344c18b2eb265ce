-- +goose Up

-- lost counts the calls of a tool step that ended without a result because their worker
-- ended, over all attempts. counted is how many of them belong to the step's attempt: the
-- bus counts the deliveries of a command, and may report a count several times.
ALTER TABLE steps
    ADD COLUMN lost integer NOT NULL DEFAULT 0,
    ADD COLUMN counted integer NOT NULL DEFAULT 0;
