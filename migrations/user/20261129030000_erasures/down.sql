ALTER TABLE users.users DROP COLUMN IF EXISTS erasure_repeated_at;
