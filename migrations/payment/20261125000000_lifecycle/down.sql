-- Back to where a hold was one amount. Releases and returns have no place there.
SET LOCAL search_path = payments, public;

DROP INDEX idempotency_keys_unanswered;
DROP INDEX sandbox_charges_by_time;
DROP INDEX webhook_events_parked_for_payment;
DROP INDEX webhook_events_parked_for_reference;
ALTER TABLE webhook_events DROP COLUMN payment_id, DROP COLUMN reference;

DELETE FROM transactions WHERE kind IN ('release', 'return');
DROP INDEX transactions_one_change_of_hold;
CREATE UNIQUE INDEX transactions_one_open_capture_or_void ON transactions (payment_id)
    WHERE kind IN ('capture', 'void') AND status = 'pending';
DROP INDEX transactions_open;
CREATE INDEX transactions_open ON transactions (tried_at) WHERE status IN ('pending', 'surplus');
ALTER TABLE transactions
    DROP CONSTRAINT transactions_kind_check,
    ADD CONSTRAINT transactions_kind_check CHECK (kind IN ('charge', 'authorization', 'capture', 'refund', 'void')),
    DROP COLUMN tries,
    DROP COLUMN due_at;

DROP INDEX payments_to_undo;
ALTER TABLE payments
    DROP CONSTRAINT payments_released_within_held,
    DROP COLUMN released_minor,
    DROP COLUMN gateway_bounced_minor,
    DROP COLUMN undo_tries,
    DROP COLUMN undo_due_at;
CREATE INDEX payments_to_undo ON payments (undo_requested_at)
    WHERE undo_requested_at IS NOT NULL
      AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor);
