DROP TABLE IF EXISTS orders.audit_log;
