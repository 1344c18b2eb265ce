-- +goose Up

-- streamed: the client requested the events, which are on the bus while the request
-- runs, and archived as a body of the kind events after its end. place is the index of
-- a call's item in the response's output.
ALTER TABLE requests ADD COLUMN streamed boolean NOT NULL DEFAULT false;
ALTER TABLE steps ADD COLUMN place integer;
-- Not validated: existing rows obey the narrower check that this one replaces, and
-- reading all of them would lock the table.
ALTER TABLE bodies
    DROP CONSTRAINT bodies_kind_check,
    ADD CONSTRAINT bodies_kind_check CHECK (kind IN ('request', 'answer', 'events')) NOT VALID;
