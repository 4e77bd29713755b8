SET LOCAL search_path = orders, public;

-- They are refunds of their orders, as those that the payment module told of.
ALTER TABLE order_refunds DROP COLUMN attempt, DROP COLUMN part_id, DROP COLUMN try_at, DROP COLUMN tries;
DROP INDEX IF EXISTS order_refunds_failed;
ALTER TABLE order_reversals DROP COLUMN try_at, DROP COLUMN tries;
ALTER TABLE orders DROP COLUMN selling_at, DROP COLUMN try_at, DROP COLUMN tries;
