-- When the gateway is asked how a payment stands that waits for its payer or is held: a webhook can be lost.
SET LOCAL search_path = payments, public;

ALTER TABLE payments
    ADD COLUMN ask_tries integer NOT NULL DEFAULT 0 CHECK (ask_tries >= 0),
    ADD COLUMN ask_due_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX payments_to_ask ON payments (ask_due_at) WHERE status IN ('requires_action', 'authorized');
