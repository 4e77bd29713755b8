SET LOCAL search_path = orders, public;

ALTER TABLE orders DROP COLUMN sellers;
