-- The role of postgres_exporter. Run once on each server, by who owns it (on Aurora the master user), and again with no harm:
--
--   psql "$OWNER_URL" -v ON_ERROR_STOP=1 -f kustomize/monitoring/exporters/role.sql
--   psql "$OWNER_URL" -c '\password eshopz_monitor'
--
-- It sees PostgreSQL's own statistics (pg_monitor) and not one row of the shop: the schemas of the modules let in their own
-- roles only.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'eshopz_monitor') THEN
    CREATE ROLE eshopz_monitor;
  END IF;
END
$$;

-- Some connections, and not all that are left when the server runs out of them.
ALTER ROLE eshopz_monitor LOGIN NOCREATEDB NOCREATEROLE INHERIT CONNECTION LIMIT 3;
-- Whatever it is made to ask: it writes nothing, waits for nobody, and holds nobody up.
ALTER ROLE eshopz_monitor SET default_transaction_read_only = on;
ALTER ROLE eshopz_monitor SET statement_timeout = '8s';
ALTER ROLE eshopz_monitor SET lock_timeout = '1s';
ALTER ROLE eshopz_monitor SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE eshopz_monitor SET search_path = pg_catalog;

GRANT pg_monitor TO eshopz_monitor;
