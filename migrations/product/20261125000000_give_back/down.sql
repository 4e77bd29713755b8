SET LOCAL search_path = products, public;

ALTER TABLE stock_movements DROP COLUMN return_id;
DROP TABLE reservation_returns;
