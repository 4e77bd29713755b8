ALTER TABLE users.signing_keys DROP COLUMN signs_from;
COMMENT ON COLUMN users.signing_keys.retired_at IS NULL;
