-- A second factor: codes by time (RFC 6238), and recovery codes for who has lost what makes them.

SET LOCAL search_path = users, public;

-- When its codes became necessary; NULL without a second factor.
ALTER TABLE users ADD COLUMN second_factor_at timestamptz;
-- When the password was chosen: its hash also changes when it is made anew with other settings.
ALTER TABLE users ADD COLUMN password_set_at timestamptz NOT NULL DEFAULT now();
-- Whether whoever began the session has shown a second factor.
ALTER TABLE sessions ADD COLUMN second_factor boolean NOT NULL DEFAULT false;

-- The secret is encrypted with a secret that is not in the database; `sealed_by` names that one, and tells nothing of it.
CREATE TABLE second_factors (
    user_id          uuid PRIMARY KEY REFERENCES users (id),
    secret_encrypted bytea NOT NULL,
    sealed_by        text NOT NULL,
    -- The time step of the last code that was used: each is good once.
    last_step        bigint NOT NULL DEFAULT 0,
    -- Wrong codes since a time.
    failures         integer NOT NULL DEFAULT 0 CHECK (failures >= 0),
    failures_since   timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now()
);

-- Hashes. Using one deletes it.
CREATE TABLE recovery_codes (
    user_id uuid NOT NULL REFERENCES users (id),
    hash    bytea NOT NULL,
    PRIMARY KEY (user_id, hash)
);
