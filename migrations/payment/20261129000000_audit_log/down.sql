DROP TABLE IF EXISTS payments.audit_log;
