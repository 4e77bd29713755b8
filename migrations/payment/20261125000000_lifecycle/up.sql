-- Holding less than was authorised, due times for whatever is asked again, and events that wait for
-- their payment.
SET LOCAL search_path = payments, public;

-- What of the amount will not be collected any more, although it was held. Worded without a sum, which
-- could leave the range of the type.
ALTER TABLE payments
    ADD COLUMN released_minor bigint NOT NULL DEFAULT 0,
    -- What the gateway first told as refunded and later as not arrived: it is ours again.
    ADD COLUMN gateway_bounced_minor bigint NOT NULL DEFAULT 0 CHECK (gateway_bounced_minor >= 0),
    ADD COLUMN undo_tries integer NOT NULL DEFAULT 0 CHECK (undo_tries >= 0),
    ADD COLUMN undo_due_at timestamptz NOT NULL DEFAULT now(),
    ADD CONSTRAINT payments_released_within_held
        CHECK (released_minor >= 0 AND released_minor <= amount_minor - captured_minor);

-- By when it is due, so that what is hopeless does not stand before what is not.
DROP INDEX payments_to_undo;
CREATE INDEX payments_to_undo ON payments (undo_due_at)
    WHERE undo_requested_at IS NOT NULL
      AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor);

-- release: so much less of what is held will be collected; the last part lets all of it go at the gateway.
-- return: a surplus charge was given back.
ALTER TABLE transactions
    DROP CONSTRAINT transactions_kind_check,
    ADD CONSTRAINT transactions_kind_check CHECK (kind IN (
        'charge', 'authorization', 'capture', 'refund', 'void', 'release', 'return')),
    ADD COLUMN tries integer NOT NULL DEFAULT 0 CHECK (tries >= 0),
    ADD COLUMN due_at timestamptz NOT NULL DEFAULT now();

DROP INDEX transactions_open;
CREATE INDEX transactions_open ON transactions (due_at) WHERE status IN ('pending', 'surplus');

-- Of what changes a hold there is only one on its way.
DROP INDEX transactions_one_open_capture_or_void;
CREATE UNIQUE INDEX transactions_one_change_of_hold ON transactions (payment_id)
    WHERE kind IN ('capture', 'void', 'release') AND status = 'pending';

-- What an event is about, so that the events of a payment are found as soon as it is known.
ALTER TABLE webhook_events
    ADD COLUMN payment_id uuid,
    ADD COLUMN reference text;
CREATE INDEX webhook_events_parked_for_payment ON webhook_events (payment_id) WHERE applied_at IS NULL;
CREATE INDEX webhook_events_parked_for_reference ON webhook_events (reference) WHERE applied_at IS NULL;

-- The sandbox lists its charges by time.
CREATE INDEX sandbox_charges_by_time ON sandbox_charges (created_at, reference);

-- For freeing the key of an attempt that had no effect.
CREATE INDEX idempotency_keys_unanswered ON idempotency_keys (resource_id) WHERE status IS NULL;
