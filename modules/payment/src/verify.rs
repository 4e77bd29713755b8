//! Whether the books balance: payments against their ledger, their events and the gateway.

use diesel::sql_query;
use diesel_async::{AsyncConnection as _, RunQueryDsl as _};
use eshopz_kernel::Fault;
use eshopz_platform::books::Report;
use eshopz_platform::events::health;

use crate::error::PaymentError;
use crate::gateway::GatewayError;
use crate::service::PaymentService;

const MODULE: &str = "payment";

/// Each rule, with the query for what breaks it. What is on its way breaks none. Sums are taken over both tables
/// one after the other: a join would look each payment up by its id, a page of the disk at a time.
const RULES: [(&str, &str); 10] = [
    (
        "captured_sum",
        "SELECT payment_id::text AS subject, format('captured %s, its transactions say %s', sum(here), sum(told)) \
            AS detail \
         FROM (SELECT id AS payment_id, captured_minor AS here, 0 AS told FROM payments WHERE captured_minor <> 0 \
            UNION ALL SELECT payment_id, 0, amount_minor FROM transactions \
            WHERE kind IN ('charge', 'capture') AND status = 'succeeded') AS books \
         GROUP BY payment_id HAVING sum(here) <> sum(told)",
    ),
    (
        "refunded_sum",
        "SELECT payment_id::text AS subject, format('refunded %s, its refunds say %s', sum(here), sum(told)) \
            AS detail \
         FROM (SELECT id AS payment_id, refunded_minor AS here, 0 AS told FROM payments WHERE refunded_minor <> 0 \
            UNION ALL SELECT payment_id, 0, amount_minor FROM transactions \
            WHERE kind = 'refund' AND status IN ('pending', 'succeeded')) AS books \
         GROUP BY payment_id HAVING sum(here) <> sum(told)",
    ),
    (
        "released_sum",
        "SELECT payment_id::text AS subject, format('released %s, its releases say %s', sum(here), sum(told)) \
            AS detail \
         FROM (SELECT id AS payment_id, released_minor AS here, 0 AS told FROM payments WHERE released_minor <> 0 \
            UNION ALL SELECT payment_id, 0, amount_minor FROM transactions \
            WHERE kind = 'release' AND status = 'succeeded') AS books \
         GROUP BY payment_id HAVING sum(here) <> sum(told)",
    ),
    (
        "payment_bounds",
        "SELECT id::text AS subject, format('refunded %s of captured %s, released %s, of %s', refunded_minor, \
                captured_minor, released_minor, amount_minor) AS detail \
         FROM payments WHERE NOT (0 <= refunded_minor AND refunded_minor <= captured_minor \
            AND 0 <= released_minor AND captured_minor <= amount_minor - released_minor)",
    ),
    (
        "payment_status",
        "SELECT payment_id::text AS subject, format('%s, with %s captured by %s transactions', max(state), \
                sum(captured), sum(captures)) AS detail \
         FROM (SELECT id AS payment_id, status AS state, captured_minor AS captured, 0 AS captures, 0 AS holds, \
                0 AS asked, secured_at IS NOT NULL AND gateway_reference IS NOT NULL AS secured FROM payments \
            UNION ALL SELECT payment_id, NULL, 0, (kind IN ('charge', 'capture') AND status = 'succeeded')::int, \
                (kind = 'authorization' AND status = 'succeeded')::int, \
                (kind IN ('charge', 'authorization') AND status = 'pending')::int, NULL FROM transactions) AS books \
         GROUP BY payment_id \
         HAVING (max(state) = 'succeeded') <> (sum(captures) > 0) \
            OR (max(state) = 'authorized' AND sum(holds) = 0) \
            OR (max(state) = 'processing' AND sum(asked) = 0) \
            OR (max(state) IN ('authorized', 'succeeded') AND NOT bool_and(secured))",
    ),
    (
        "payment_events",
        "SELECT p.id::text AS subject, format('%s since %s, and no event tells it', p.status, p.secured_at) AS detail \
         FROM payments p WHERE p.status IN ('authorized', 'succeeded') \
            AND p.secured_at > now() - interval '6 days 20 hours' \
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.payload->>'payment_id' = p.id::text \
                AND o.name = CASE p.status WHEN 'succeeded' THEN 'payment.succeeded.v1' \
                                           ELSE 'payment.authorized.v1' END)",
    ),
    (
        "refund_events",
        "SELECT t.id::text AS subject, format('%s of payment %s, and no event tells it', t.kind, t.payment_id) \
            AS detail \
         FROM transactions t WHERE t.status = 'succeeded' \
            AND (t.kind = 'refund' OR (t.kind = 'release' AND t.reason IS DISTINCT FROM 'told by the gateway')) \
            AND t.settled_at > now() - interval '6 days 20 hours' \
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.payload->>'refund_id' = t.id::text \
                AND o.name = CASE t.kind WHEN 'refund' THEN 'payment.refunded.v1' ELSE 'payment.released.v1' END)",
    ),
    (
        "gateway_answers",
        "SELECT id::text AS subject, format('%s of payment %s is %s since %s', kind, payment_id, status, since) \
            AS detail \
         FROM (SELECT *, coalesce(settled_at, created_at) AS since FROM transactions \
            WHERE status IN ('pending', 'surplus')) AS open WHERE since < now() - interval '15 minutes'",
    ),
    // An event of a payment that is none of ours waits for ever, and is no error: every other program with the same
    // account at the gateway makes some.
    (
        "parked_events",
        "SELECT id::text AS subject, format('%s %s of %s, about %s, waits since %s for a payment that is known', \
            type, event_id, gateway, coalesce(reference, '?'), received_at) AS detail \
         FROM webhook_events e WHERE applied_at IS NULL AND received_at < now() - interval '15 minutes' \
            AND (EXISTS (SELECT FROM payments p WHERE p.id = e.payment_id) \
                OR EXISTS (SELECT FROM transactions t WHERE t.gateway_reference = e.reference))",
    ),
    (
        "payments_undone",
        "SELECT id::text AS subject, format('its order is cancelled since %s, and %s of %s is not given back', \
                undo_requested_at, captured_minor - refunded_minor, captured_minor) AS detail \
         FROM payments WHERE undo_requested_at < now() - interval '15 minutes' \
            AND (status IN ('authorized', 'requires_action') OR refunded_minor < captured_minor)",
    ),
];

/// Runs every rule on one snapshot, then asks the gateway.
pub(crate) async fn verify(service: &PaymentService) -> Result<Report, Fault> {
    let mut report = own_books(service).await?;
    match service.gateway().audit().await {
        Ok(drift) => report.merge(drift),
        Err(GatewayError::Rejected { code, message }) => {
            tracing::warn!(code, detail = message, "the gateway does not let us look into its books");
        }
        Err(error) => return Err(Fault::unavailable("The gateway's books cannot be read.", 5).caused_by(error)),
    }
    Ok(report)
}

async fn own_books(service: &PaymentService) -> Result<Report, PaymentError> {
    let mut conn = service.db.conn().await?;
    conn.transaction(async |conn| {
        sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(conn).await?;
        // Else a million payments are sorted on the disk, once for each rule.
        sql_query("SET LOCAL work_mem = '128MB'").execute(conn).await?;
        let mut report = Report::default();
        for (check, broken) in RULES {
            report.check(conn, MODULE, check, ("payments", broken)).await?;
        }
        report.merge(health::audit(conn, MODULE).await?);
        Ok(report)
    })
    .await
}
