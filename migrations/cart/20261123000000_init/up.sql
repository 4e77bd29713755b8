-- The cart module: its schema, its role, the tables of every module, carts and their lines.
CREATE SCHEMA carts;
REVOKE ALL ON SCHEMA carts FROM PUBLIC;

-- Roles belong to the whole server: another database, or a migration of it at this moment, may have
-- made this one. It has no login: the module's connections switch to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'carts') THEN
        CREATE ROLE carts NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- An owner who is no superuser may only switch to a role that was granted to him.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT carts TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN unique_violation OR internal_error THEN NULL; -- granted by somebody else just now
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'carts', 'MEMBER') THEN
            RAISE;
        END IF;
END $$;

GRANT USAGE ON SCHEMA carts TO carts;
ALTER DEFAULT PRIVILEGES IN SCHEMA carts GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO carts;
ALTER DEFAULT PRIVILEGES IN SCHEMA carts GRANT USAGE, SELECT ON SEQUENCES TO carts;

SET LOCAL search_path = carts, public;

-- The tables that every module has; the code that reads and writes them is in modules/shared/platform
-- (events, jobs, idempotency).

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

-- A cart belongs to an account or to whoever has its token, never to both. `version` rises with every
-- change of its lines, and `updated_at` is when it last did.
CREATE TABLE carts (
    id          uuid PRIMARY KEY,
    status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'ordered', 'abandoned')),
    customer_id uuid,
    -- SHA-256 of a guest's token.
    token_hash  bytea CHECK (octet_length(token_hash) = 32),
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    version     bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    order_id    uuid,
    -- The customer's cart that took this one over.
    merged_into uuid REFERENCES carts (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    closed_at   timestamptz,
    CONSTRAINT carts_owner CHECK ((customer_id IS NULL) <> (token_hash IS NULL)),
    CONSTRAINT carts_ordered CHECK ((status = 'ordered') = (order_id IS NOT NULL)),
    CONSTRAINT carts_closed CHECK ((status = 'open') = (closed_at IS NULL)),
    CONSTRAINT carts_merged CHECK (merged_into IS NULL OR (status = 'abandoned' AND customer_id IS NULL))
);
CREATE UNIQUE INDEX carts_one_open ON carts (customer_id) WHERE status = 'open';
CREATE INDEX carts_customer ON carts (customer_id) WHERE customer_id IS NOT NULL;
CREATE INDEX carts_merged_into ON carts (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX carts_expiring ON carts (expires_at) WHERE status = 'open';
CREATE INDEX carts_abandoned_guests ON carts (closed_at) WHERE status = 'abandoned' AND customer_id IS NULL;

-- What is in a cart. Beside the variant's id there is a copy of what it was when it was put in, its
-- price as of the line's last change: that tells whether the price has moved since, and the copy is
-- shown when the variant is gone.
CREATE TABLE cart_items (
    id                uuid PRIMARY KEY,
    cart_id           uuid NOT NULL REFERENCES carts (id) ON DELETE CASCADE,
    variant_id        uuid NOT NULL,
    product_id        uuid NOT NULL,
    sku               text,
    title             text NOT NULL,
    variant_title     text NOT NULL,
    image_url         text,
    quantity          bigint NOT NULL CHECK (quantity >= 1),
    unit_price_minor  bigint NOT NULL CHECK (unit_price_minor >= 0),
    requires_shipping boolean NOT NULL,
    taxable           boolean NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT cart_items_variant UNIQUE (cart_id, variant_id)
);
