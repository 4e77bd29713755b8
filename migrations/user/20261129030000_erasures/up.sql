-- The other modules are told twice of a deleted account: at once, and when what was under way at that moment is over.
SET LOCAL search_path = users, public;

ALTER TABLE users ADD COLUMN erasure_repeated_at timestamptz;
CREATE INDEX users_erasures_to_repeat ON users (deleted_at)
    WHERE deleted_at IS NOT NULL AND erasure_repeated_at IS NULL;
