SET LOCAL search_path = orders, public;

DROP TABLE order_refunds;
DROP TABLE order_reversal_lines;
DROP TABLE order_reversals;
ALTER TABLE orders DROP COLUMN reversed_minor;
ALTER TABLE order_lines
    DROP CONSTRAINT order_lines_taken_back,
    DROP CONSTRAINT order_lines_variant_key,
    DROP COLUMN taxable,
    DROP COLUMN cancelled_quantity,
    DROP COLUMN asked_quantity,
    DROP COLUMN returned_quantity;
