-- The role stays: another database of the server may use it.
DROP SCHEMA IF EXISTS products CASCADE;
