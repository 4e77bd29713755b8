-- Who did what that an admin has to answer for, and what matters to the security of the shop. A row is written in the
-- transaction of what it tells; the code that writes and reads them is in modules/shared/platform (audit).

SET LOCAL search_path = products, public;

CREATE TABLE audit_log (
    id           uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    -- The id of an account, `cli` for an operator at the command line, `nobody`.
    actor        text NOT NULL,
    actor_role   text,
    -- As `product.archived`.
    action       text NOT NULL,
    subject_type text NOT NULL,
    subject_id   text NOT NULL,
    request_id   text NOT NULL,
    -- The client's network address.
    address      text,
    -- Small, and without personal data.
    details      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_actor ON audit_log (actor, id);
CREATE INDEX audit_log_action ON audit_log (action, id);
CREATE INDEX audit_log_subject ON audit_log (subject_id, id);
CREATE INDEX audit_log_at ON audit_log (at);

-- What is written stays as it is: whoever gets hold of the module's role cannot cover his tracks.
REVOKE UPDATE, DELETE, TRUNCATE ON audit_log FROM products;
