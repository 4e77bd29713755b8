-- Parts of what an order holds or bought that came back: lines that were cancelled, things that were
-- returned.

SET LOCAL search_path = products, public;

-- One giving back has a row per variant, under the id that the order chose, so that a second time is seen.
CREATE TABLE reservation_returns (
    order_id   uuid NOT NULL REFERENCES reservations (order_id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    variant_id uuid NOT NULL,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    -- It had been sold, so it was put back with a movement; else it was only held.
    sold       boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (order_id, id, variant_id)
);

-- Which giving back a movement is of.
ALTER TABLE stock_movements ADD COLUMN return_id uuid;
