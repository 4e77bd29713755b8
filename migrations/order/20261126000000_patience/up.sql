-- Patience: pauses between the tries of the jobs, refunds that are asked for again, and sales that somebody may
-- still be making.

SET LOCAL search_path = orders, public;

ALTER TABLE orders
    -- How often the jobs have tried to take it on since its state changed, and when they may again.
    ADD COLUMN tries      integer NOT NULL DEFAULT 0,
    ADD COLUMN try_at     timestamptz,
    -- Since when somebody may be selling its stock. Until that is over, a cancelled order does not count as undone:
    -- what is sold behind the undoing would stay sold.
    ADD COLUMN selling_at timestamptz;

ALTER TABLE order_reversals
    ADD COLUMN tries  integer NOT NULL DEFAULT 0,
    ADD COLUMN try_at timestamptz;

ALTER TABLE order_refunds
    ADD COLUMN tries   integer NOT NULL DEFAULT 0,
    ADD COLUMN try_at  timestamptz,
    -- The part whose refund failed and is asked for again by this one. The first has the part's own id.
    ADD COLUMN part_id uuid REFERENCES order_reversals (id),
    ADD COLUMN attempt integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT order_refunds_attempt CHECK ((part_id IS NULL) = (attempt = 0));
CREATE UNIQUE INDEX order_refunds_attempts ON order_refunds (part_id, attempt) WHERE part_id IS NOT NULL;
-- What a job looks for; it stays small.
CREATE INDEX order_refunds_failed ON order_refunds (updated_at, id) WHERE status = 'failed';
