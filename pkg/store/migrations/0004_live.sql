-- +goose Up

-- streamed: the client asked for the events, which are on the bus while the request runs and archived as a body of the kind events
-- when it has ended. place is where in the response's output a call's item stands.
ALTER TABLE requests ADD COLUMN streamed boolean NOT NULL DEFAULT false;
ALTER TABLE steps ADD COLUMN place integer;
-- Not validated: the old rows obey the narrower check that this one takes the place of, and reading them all would hold the table.
ALTER TABLE bodies
    DROP CONSTRAINT bodies_kind_check,
    ADD CONSTRAINT bodies_kind_check CHECK (kind IN ('request', 'answer', 'events')) NOT VALID;
