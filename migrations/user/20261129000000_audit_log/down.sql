DROP TABLE IF EXISTS users.audit_log;
