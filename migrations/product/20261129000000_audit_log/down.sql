DROP TABLE IF EXISTS products.audit_log;
