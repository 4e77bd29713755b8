SET LOCAL search_path = payments, public;

DROP INDEX payments_to_ask;
ALTER TABLE payments DROP COLUMN ask_due_at, DROP COLUMN ask_tries;
