-- A key is shown some minutes before it signs, and a time after, so that a rotation signs nobody out.

SET LOCAL search_path = users, public;

ALTER TABLE signing_keys ADD COLUMN signs_from timestamptz NOT NULL DEFAULT now();
UPDATE signing_keys SET signs_from = created_at;

COMMENT ON COLUMN signing_keys.signs_from IS 'When it takes over from the one before it.';
COMMENT ON COLUMN signing_keys.retired_at IS 'When it stops signing: signs_from of its successor.';
