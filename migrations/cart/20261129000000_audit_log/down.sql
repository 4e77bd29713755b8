DROP TABLE IF EXISTS carts.audit_log;
