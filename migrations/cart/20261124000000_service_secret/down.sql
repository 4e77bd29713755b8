-- What is shared goes with the last module that may read it.
DO $$
BEGIN
    IF to_regnamespace('service') IS NULL THEN
        RETURN;
    END IF;
    REVOKE ALL ON ALL TABLES IN SCHEMA service FROM carts;
    REVOKE ALL ON SCHEMA service FROM carts;
    IF NOT EXISTS (
        SELECT FROM pg_namespace n CROSS JOIN aclexplode(n.nspacl) a
        WHERE n.nspname = 'service' AND a.grantee <> n.nspowner
    ) THEN
        DROP SCHEMA service CASCADE;
    END IF;
END $$;
