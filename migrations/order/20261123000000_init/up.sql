CREATE SCHEMA orders;
REVOKE ALL ON SCHEMA orders FROM PUBLIC;

-- Roles belong to the whole server: another database, or a migration of it at this moment, may have
-- made this one. It has no login: the module's connections switch to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'orders') THEN
        CREATE ROLE orders NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- An owner who is no superuser may only switch to a role that was granted to him.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT orders TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN unique_violation OR internal_error THEN NULL; -- granted by somebody else just now
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'orders', 'MEMBER') THEN
            RAISE;
        END IF;
END $$;

GRANT USAGE ON SCHEMA orders TO orders;
ALTER DEFAULT PRIVILEGES IN SCHEMA orders GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO orders;
ALTER DEFAULT PRIVILEGES IN SCHEMA orders GRANT USAGE, SELECT ON SEQUENCES TO orders;

SET LOCAL search_path = orders, public;

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

-- What customers read aloud on the telephone. Numbers may be missing from the row: an order that loses
-- the race for its cart takes one and is rolled back.
CREATE SEQUENCE order_numbers START 100001;

-- An order, with a copy of everything that was true when it was placed. Ids of other modules have no
-- foreign key; the id itself is derived from the cart's version, so that twins of a checkout meet.
CREATE TABLE orders (
    id               uuid PRIMARY KEY,
    number           text NOT NULL DEFAULT 'EZ-' || nextval('order_numbers') CONSTRAINT orders_number_key UNIQUE,
    -- One cart makes one order: the second transaction waits for the first and then finds its row.
    cart_id          uuid NOT NULL CONSTRAINT orders_cart_id_key UNIQUE,
    customer_id      uuid,
    -- SHA-256 in hex of what a guest presents as X-Order-Token.
    token_hash       text,
    status           text NOT NULL DEFAULT 'pending_payment' CONSTRAINT orders_status CHECK
                     (status IN ('pending_payment', 'paid', 'processing', 'shipped', 'delivered', 'cancelled')),
    email            text NOT NULL,
    currency         text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    subtotal_minor   bigint NOT NULL CHECK (subtotal_minor >= 0),
    discount_minor   bigint NOT NULL CHECK (discount_minor >= 0),
    shipping_minor   bigint NOT NULL CHECK (shipping_minor >= 0),
    tax_minor        bigint NOT NULL CHECK (tax_minor >= 0),
    total_minor      bigint NOT NULL CHECK (total_minor >= 0),
    shipping_address jsonb NOT NULL,
    billing_address  jsonb NOT NULL,
    tracking         jsonb,
    payment_id       uuid NOT NULL CONSTRAINT orders_payment_id_key UNIQUE,
    cancel_reason    text,
    version          bigint NOT NULL DEFAULT 1,
    placed_at        timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    -- Set once its payment exists and its cart is closed.
    finished_at      timestamptz,
    cancelled_at     timestamptz,
    -- Set once a cancelled order has given back its stock and its money.
    undone_at        timestamptz,
    CONSTRAINT orders_holder CHECK (customer_id IS NOT NULL OR token_hash IS NOT NULL),
    CONSTRAINT orders_total CHECK (total_minor = subtotal_minor - discount_minor + shipping_minor + tax_minor),
    CONSTRAINT orders_cancelled CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CONSTRAINT orders_undone CHECK (undone_at IS NULL OR cancelled_at IS NOT NULL)
);
ALTER SEQUENCE order_numbers OWNED BY orders.number;
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at, id) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_placed_at ON orders (placed_at, id);
CREATE INDEX orders_status_placed_at ON orders (status, placed_at, id);
CREATE INDEX orders_email ON orders (lower(email));
-- What the jobs look for, beside the unpaid ones; both stay small.
CREATE INDEX orders_unfinished ON orders (placed_at, id) WHERE finished_at IS NULL;
CREATE INDEX orders_to_undo ON orders (cancelled_at, id) WHERE status = 'cancelled' AND undone_at IS NULL;

CREATE TABLE order_lines (
    order_id         uuid NOT NULL REFERENCES orders (id),
    position         integer NOT NULL,
    variant_id       uuid NOT NULL,
    product_id       uuid NOT NULL,
    sku              text,
    title            text NOT NULL,
    variant_title    text NOT NULL,
    image_url        text,
    quantity         bigint NOT NULL CHECK (quantity > 0),
    unit_price_minor bigint NOT NULL CHECK (unit_price_minor >= 0),
    line_total_minor bigint NOT NULL,
    PRIMARY KEY (order_id, position),
    CONSTRAINT order_lines_total CHECK (line_total_minor = quantity * unit_price_minor)
);

-- Every change of an order's state. Rows of one order are written under its row lock, so their ids
-- are in the order of the changes.
CREATE TABLE order_timeline (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id    uuid NOT NULL REFERENCES orders (id),
    at          timestamptz NOT NULL,
    from_status text,
    to_status   text NOT NULL,
    event       text NOT NULL,
    actor       text NOT NULL CHECK (actor IN ('customer', 'guest', 'admin', 'system')),
    actor_id    uuid,
    reason      text
);
CREATE INDEX order_timeline_of_order ON order_timeline (order_id, id);
