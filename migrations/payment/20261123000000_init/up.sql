-- The payment module: its schema, its role, the tables of every module, payments and their ledger.
CREATE SCHEMA payments;
REVOKE ALL ON SCHEMA payments FROM PUBLIC;

-- Roles belong to the whole server: another database, or a migration of it at this moment, may have
-- made this one. It has no login: the module's connections switch to it.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'payments') THEN
        CREATE ROLE payments NOLOGIN;
    END IF;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

-- An owner who is no superuser may only switch to a role that was granted to him.
DO $$
BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        GRANT payments TO CURRENT_USER;
    END IF;
EXCEPTION
    WHEN unique_violation OR internal_error THEN NULL; -- granted by somebody else just now
    WHEN insufficient_privilege THEN
        IF NOT pg_has_role(current_user, 'payments', 'MEMBER') THEN
            RAISE;
        END IF;
END $$;

GRANT USAGE ON SCHEMA payments TO payments;
ALTER DEFAULT PRIVILEGES IN SCHEMA payments GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO payments;
ALTER DEFAULT PRIVILEGES IN SCHEMA payments GRANT USAGE, SELECT ON SEQUENCES TO payments;

SET LOCAL search_path = payments, public;

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

-- One payment per order: the intent to collect an order's total. The sums are the law here, not the
-- code that looks at them first: money never goes back that was not collected.
CREATE TABLE payments (
    id                    uuid PRIMARY KEY,
    order_id              uuid NOT NULL,
    customer_id           uuid,
    payer_token_hash      text,
    currency              text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount_minor          bigint NOT NULL CHECK (amount_minor >= 0),
    captured_minor        bigint NOT NULL DEFAULT 0,
    -- Refunds that are done and those that the gateway has not confirmed yet.
    refunded_minor        bigint NOT NULL DEFAULT 0,
    -- The most that the gateway ever said has gone back, also by its own dashboard.
    gateway_refunded_minor bigint NOT NULL DEFAULT 0 CHECK (gateway_refunded_minor >= 0),
    status                text NOT NULL DEFAULT 'requires_payment_method' CHECK (status IN (
        'requires_payment_method', 'requires_action', 'processing', 'authorized', 'succeeded', 'failed', 'cancelled')),
    gateway               text NOT NULL,
    -- The gateway's name for the charge that secured this payment.
    gateway_reference     text,
    -- What may be shown of the card: type, brand, last four digits.
    method                jsonb,
    next_action           jsonb,
    failure_code          text,
    failure_message       text,
    -- The latest attempt; only its outcome moves the status, unless money came in.
    attempt_id            uuid,
    attempts              integer NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    processing_since      timestamptz,
    undo_requested_at     timestamptz,
    undo_reason           text,
    secured_at            timestamptz,
    version               bigint NOT NULL DEFAULT 1,
    created_at            timestamptz NOT NULL DEFAULT now(),
    updated_at            timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payments_one_per_order UNIQUE (order_id),
    CONSTRAINT payments_captured_within_amount CHECK (captured_minor >= 0 AND captured_minor <= amount_minor),
    CONSTRAINT payments_refunded_within_captured CHECK (refunded_minor >= 0 AND refunded_minor <= captured_minor)
);
CREATE INDEX payments_by_time ON payments (created_at, id);
CREATE INDEX payments_by_customer ON payments (customer_id, created_at, id) WHERE customer_id IS NOT NULL;
-- What is to be undone and is not yet.
CREATE INDEX payments_to_undo ON payments (undo_requested_at)
    WHERE undo_requested_at IS NOT NULL
      AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor);

-- Everything that was ever asked of the gateway, or told by it. A row is there before the gateway is
-- called and its id is the idempotency key of that call, so a crash leaves a question that can be asked
-- again, never money that nobody knows of.
CREATE TABLE transactions (
    id                uuid PRIMARY KEY,
    payment_id        uuid NOT NULL REFERENCES payments (id),
    kind              text NOT NULL CHECK (kind IN ('charge', 'authorization', 'capture', 'refund', 'void')),
    -- surplus: the payment was secured by another charge already; this one is to be given back (returned).
    status            text NOT NULL CHECK (status IN (
        'pending', 'requires_action', 'succeeded', 'failed', 'cancelled', 'surplus', 'returned')),
    amount_minor      bigint NOT NULL CHECK (amount_minor >= 0),
    currency          text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    -- The gateway's name of the method that was tried; never a card number.
    payment_method    text,
    method            jsonb,
    gateway_reference text,
    -- For a capture, refund or void: the charge that it is about.
    charge_reference  text,
    reason            text,
    failure_code      text,
    failure_message   text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    tried_at          timestamptz NOT NULL DEFAULT now(),
    settled_at        timestamptz
);
CREATE INDEX transactions_of_payment ON transactions (payment_id, created_at, id);
CREATE INDEX transactions_by_reference ON transactions (gateway_reference) WHERE gateway_reference IS NOT NULL;
CREATE INDEX transactions_open ON transactions (tried_at) WHERE status IN ('pending', 'surplus');
-- A capture and a void of the same payment never run beside each other.
CREATE UNIQUE INDEX transactions_one_open_capture_or_void ON transactions (payment_id)
    WHERE kind IN ('capture', 'void') AND status = 'pending';

-- What gateways said, as it came: stored first, then applied. An event of a payment that is not known
-- (yet) stays unapplied.
CREATE TABLE webhook_events (
    id          uuid PRIMARY KEY,
    gateway     text NOT NULL,
    event_id    text NOT NULL,
    type        text NOT NULL,
    body        text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    applied_at  timestamptz,
    tries       integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    due_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_events_once UNIQUE (gateway, event_id)
);
CREATE INDEX webhook_events_open ON webhook_events (due_at) WHERE applied_at IS NULL;
CREATE INDEX webhook_events_done ON webhook_events (applied_at) WHERE applied_at IS NOT NULL;

-- The memory of the sandbox gateway. It stands for another company: nothing but the sandbox reads or
-- writes it, and never in a transaction of ours.
CREATE TABLE sandbox_charges (
    reference       text PRIMARY KEY,
    idempotency_key uuid NOT NULL UNIQUE,
    payment_id      uuid NOT NULL,
    merchant_reference text NOT NULL,
    amount_minor    bigint NOT NULL CHECK (amount_minor >= 0),
    currency        text NOT NULL,
    captured_minor  bigint NOT NULL DEFAULT 0 CHECK (captured_minor BETWEEN 0 AND amount_minor),
    refunded_minor  bigint NOT NULL DEFAULT 0 CHECK (refunded_minor >= 0),
    payment_method  text NOT NULL,
    captures        boolean NOT NULL,
    status          text NOT NULL CHECK (status IN ('requires_action', 'authorized', 'succeeded', 'declined', 'cancelled')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (refunded_minor <= captured_minor)
);
CREATE INDEX sandbox_charges_of_payment ON sandbox_charges (payment_id);

-- Captures, voids and refunds by their idempotency key.
CREATE TABLE sandbox_operations (
    idempotency_key  uuid PRIMARY KEY,
    charge_reference text NOT NULL REFERENCES sandbox_charges (reference),
    kind             text NOT NULL CHECK (kind IN ('capture', 'void', 'refund')),
    amount_minor     bigint NOT NULL CHECK (amount_minor >= 0),
    reference        text NOT NULL UNIQUE,
    created_at       timestamptz NOT NULL DEFAULT now()
);
