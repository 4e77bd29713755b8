-- The secret by which the modules' processes know each other, when the operator has set none. It is
-- shared, so whichever module comes first makes it; migrations/README.md says why.

CREATE SCHEMA IF NOT EXISTS service;
REVOKE ALL ON SCHEMA service FROM PUBLIC;

CREATE TABLE IF NOT EXISTS service.secrets (
    -- There is one.
    single     boolean PRIMARY KEY DEFAULT true CHECK (single),
    secret     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- 122 random bits in each of the four.
INSERT INTO service.secrets (secret)
SELECT encode(sha256(string_agg(gen_random_uuid()::text, '')::bytea), 'hex') FROM generate_series(1, 4)
ON CONFLICT DO NOTHING;

GRANT USAGE ON SCHEMA service TO orders;
GRANT SELECT ON service.secrets TO orders;
