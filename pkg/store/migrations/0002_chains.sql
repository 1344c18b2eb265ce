-- +goose Up

-- previous is the response that this one continues; it may have been deleted. A
-- response that is not stored can be neither read nor continued by its id.
ALTER TABLE requests
    ADD COLUMN previous uuid,
    ADD COLUMN stored boolean NOT NULL DEFAULT true;
