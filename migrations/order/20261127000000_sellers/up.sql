-- Sellers: how many may be selling an order's stock since `selling_at`. One who is done must not speak for another.

SET LOCAL search_path = orders, public;

ALTER TABLE orders ADD COLUMN sellers integer NOT NULL DEFAULT 0;
-- Those who are at it count.
UPDATE orders SET sellers = 1 WHERE selling_at IS NOT NULL;
