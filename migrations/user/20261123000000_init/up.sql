-- Accounts, their sessions and tokens, their addresses, and the keys that sign access tokens.

CREATE SCHEMA users;
REVOKE ALL ON SCHEMA users FROM PUBLIC;

-- Roles belong to the whole server: another database, or a migration of it at this moment, may have
-- made this one. It has no login: the module's connections switch to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'users') THEN
        CREATE ROLE users NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- An owner who is no superuser may only switch to a role that was granted to him.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT users TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN unique_violation OR internal_error THEN NULL; -- granted by somebody else just now
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'users', 'MEMBER') THEN
            RAISE;
        END IF;
END $$;

GRANT USAGE ON SCHEMA users TO users;
ALTER DEFAULT PRIVILEGES IN SCHEMA users GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO users;
ALTER DEFAULT PRIVILEGES IN SCHEMA users GRANT USAGE, SELECT ON SEQUENCES TO users;

SET LOCAL search_path = users, public;

-- Events, written in the transaction of what they tell. `remaining` is NULL until a relay has seen
-- the event, then the number of listeners that still wait for it; at 0 it is published.
CREATE TABLE outbox (
    id           uuid PRIMARY KEY,
    name         text NOT NULL,
    payload      jsonb NOT NULL,
    occurred_at  timestamptz NOT NULL DEFAULT now(),
    traceparent  text,
    remaining    integer CHECK (remaining >= 0),
    published_at timestamptz,
    CONSTRAINT outbox_published CHECK ((published_at IS NOT NULL) = (remaining IS NOT DISTINCT FROM 0))
);
-- Only what is new is in here, so that finding it costs the same however much has been published.
CREATE INDEX outbox_new ON outbox (id) WHERE remaining IS NULL;

-- One row per event and listener, gone once delivered. `available_at` is when it may be tried (again):
-- the lease while a relay tries it, the next attempt after a failure. A row with `dead_at` is a dead
-- letter and waits for an operator.
CREATE TABLE outbox_deliveries (
    event_id     uuid NOT NULL REFERENCES outbox (id),
    listener     text NOT NULL,
    attempts     integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    available_at timestamptz NOT NULL DEFAULT now(),
    dead_at      timestamptz,
    last_error   text,
    PRIMARY KEY (event_id, listener)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX outbox_deliveries_due ON outbox_deliveries (listener, available_at) WHERE dead_at IS NULL;
CREATE INDEX outbox_deliveries_dead ON outbox_deliveries (dead_at) WHERE dead_at IS NOT NULL;

-- What this module's listeners have taken in, so that an event that comes twice counts once.
CREATE TABLE inbox (
    event_id    uuid NOT NULL,
    listener    text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (event_id, listener)
);

-- Periodic jobs: nobody else may start `name` before `until`.
CREATE TABLE leases (
    name   text PRIMARY KEY,
    holder uuid NOT NULL,
    until  timestamptz NOT NULL
);

-- Answers to requests with an Idempotency-Key, written in the transaction of the effect.
CREATE TABLE idempotency_keys (
    caller       text NOT NULL,
    key          text NOT NULL,
    operation    text NOT NULL,
    request_hash bytea NOT NULL,
    resource_id  uuid,
    status       smallint,
    body         text,
    location     text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys (created_at);

-- The account list is searched by a part of the email.
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

-- Accounts. A deleted one keeps its id, so that what refers to it still does, and nothing else.
CREATE TABLE users (
    id                uuid PRIMARY KEY,
    email             text NOT NULL,
    email_verified_at timestamptz,
    -- NULL: no password opens it.
    password_hash     text,
    full_name         text NOT NULL,
    phone             text,
    role              text NOT NULL DEFAULT 'customer' CHECK (role IN ('customer', 'admin')),
    disabled_at       timestamptz,
    deleted_at        timestamptz,
    version           bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_deleted_is_anonymous CHECK (
        deleted_at IS NULL
        OR (email = 'deleted+' || id || '@invalid' AND password_hash IS NULL AND full_name = '' AND phone IS NULL)
    )
);
CREATE UNIQUE INDEX users_email ON users (lower(email));
CREATE INDEX users_email_part ON users USING gin (lower(email) gin_trgm_ops);
CREATE INDEX users_created_at ON users (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX users_admins ON users (id) WHERE role = 'admin' AND deleted_at IS NULL;

-- One sign-in on one device. It lives as long as its newest refresh token.
CREATE TABLE sessions (
    id           uuid PRIMARY KEY,
    user_id      uuid NOT NULL REFERENCES users (id),
    user_agent   text,
    address      text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    revoked_at   timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id, id);
CREATE INDEX sessions_expires_at ON sessions (expires_at);
CREATE INDEX sessions_revoked_at ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- SHA-256 of each refresh token. Spent ones stay until they expire: a second use gives a thief away.
CREATE TABLE refresh_tokens (
    hash       bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES sessions (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    spent_at   timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expires_at ON refresh_tokens (expires_at);
-- However two refreshes interleave, a session has one token that is good.
CREATE UNIQUE INDEX refresh_tokens_one_unspent ON refresh_tokens (session_id) WHERE spent_at IS NULL;

-- SHA-256 of what was sent by mail. Using one deletes it.
CREATE TABLE mailed_tokens (
    hash       bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id),
    purpose    text NOT NULL CHECK (purpose IN ('password_reset', 'verify_email')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX mailed_tokens_user ON mailed_tokens (user_id);
CREATE INDEX mailed_tokens_expires_at ON mailed_tokens (expires_at);

CREATE TABLE addresses (
    id          uuid PRIMARY KEY,
    user_id     uuid NOT NULL REFERENCES users (id),
    name        text NOT NULL,
    line1       text NOT NULL,
    line2       text,
    city        text NOT NULL,
    region      text,
    postal_code text NOT NULL,
    country     text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    phone       text,
    is_default  boolean NOT NULL,
    version     bigint NOT NULL DEFAULT 1,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX addresses_user ON addresses (user_id, id);
CREATE UNIQUE INDEX addresses_one_default ON addresses (user_id) WHERE is_default;

-- Ed25519 keys that sign access tokens. The private half is encrypted with a secret that is not in
-- the database.
CREATE TABLE signing_keys (
    kid                   text PRIMARY KEY,
    private_key_encrypted bytea NOT NULL,
    public_key            bytea NOT NULL,
    created_at            timestamptz NOT NULL DEFAULT now(),
    retired_at            timestamptz
);
-- Processes that start at the same moment agree on one key.
CREATE UNIQUE INDEX signing_keys_one_active ON signing_keys ((true)) WHERE retired_at IS NULL;
