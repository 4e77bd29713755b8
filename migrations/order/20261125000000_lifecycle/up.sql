-- Parts of an order that are taken back: lines cancelled before they are shipped, things returned after
-- they arrived, and the money that goes back for them.

SET LOCAL search_path = orders, public;

ALTER TABLE order_lines
    -- Part of the order's tax is on it.
    ADD COLUMN taxable            boolean NOT NULL DEFAULT true,
    -- Cancelled by themselves. When the whole order is cancelled, this stays as it was.
    ADD COLUMN cancelled_quantity bigint NOT NULL DEFAULT 0,
    -- In returns that nobody has decided yet.
    ADD COLUMN asked_quantity     bigint NOT NULL DEFAULT 0,
    -- In returns that were accepted.
    ADD COLUMN returned_quantity  bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT order_lines_variant_key UNIQUE (order_id, variant_id),
    -- The law: no more comes back than was bought.
    ADD CONSTRAINT order_lines_taken_back CHECK (
        cancelled_quantity >= 0 AND asked_quantity >= 0 AND returned_quantity >= 0
        AND cancelled_quantity + asked_quantity + returned_quantity <= quantity);

ALTER TABLE orders
    -- What those parts were worth. Shipping goes back with the whole order only.
    ADD COLUMN reversed_minor bigint NOT NULL DEFAULT 0,
    ADD CONSTRAINT orders_reversed CHECK (0 <= reversed_minor AND reversed_minor <= total_minor - shipping_minor);

-- A part of an order that is taken back. A cancellation is accepted when it is asked for; a return waits for
-- staff. Its id is also that of its giving back in the catalogue, and of its refund.
CREATE TABLE order_reversals (
    id           uuid PRIMARY KEY,
    order_id     uuid NOT NULL REFERENCES orders (id),
    kind         text NOT NULL CONSTRAINT order_reversals_kind CHECK (kind IN ('cancellation', 'return')),
    status       text NOT NULL CONSTRAINT order_reversals_status CHECK (status IN ('requested', 'accepted', 'rejected')),
    reason       text,
    -- What staff said to it.
    note         text,
    -- Set once it is accepted: whether the things are for sale again, what they were worth, what is refunded.
    restock      boolean,
    worth_minor  bigint,
    refund_minor bigint,
    version      bigint NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    -- Set once the catalogue has the things and the payment module its refund.
    done_at      timestamptz,
    CONSTRAINT order_reversals_cancellation CHECK (kind = 'return' OR status = 'accepted'),
    CONSTRAINT order_reversals_accepted CHECK (
        (status = 'accepted') = (restock IS NOT NULL AND worth_minor IS NOT NULL AND refund_minor IS NOT NULL)),
    CONSTRAINT order_reversals_refund CHECK (0 <= refund_minor AND refund_minor <= worth_minor),
    CONSTRAINT order_reversals_done CHECK (done_at IS NULL OR status = 'accepted')
);
CREATE INDEX order_reversals_of_order ON order_reversals (order_id, id);
-- What a job looks for; it stays small.
CREATE INDEX order_reversals_open ON order_reversals (updated_at, id) WHERE status = 'accepted' AND done_at IS NULL;

CREATE TABLE order_reversal_lines (
    reversal_id uuid NOT NULL REFERENCES order_reversals (id),
    variant_id  uuid NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (reversal_id, variant_id)
);

-- Every refund of an order's payment: those of the parts above, and those that the payment module told of.
CREATE TABLE order_refunds (
    id           uuid PRIMARY KEY,
    order_id     uuid NOT NULL REFERENCES orders (id),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reason       text,
    status       text NOT NULL CONSTRAINT order_refunds_status CHECK (status IN ('pending', 'succeeded', 'failed')),
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL
);
CREATE INDEX order_refunds_of_order ON order_refunds (order_id, created_at, id);
CREATE INDEX order_refunds_pending ON order_refunds (id) WHERE status = 'pending';
