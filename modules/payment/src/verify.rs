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

/// Each rule, with the query for what breaks it. What is on its way breaks none.
const RULES: [(&str, &str); 8] = [
    (
        "captured_sum",
        "SELECT p.id::text AS subject, format('captured %s, its transactions say %s', p.captured_minor, \
                coalesce(t.total, 0)) AS detail \
         FROM payments p LEFT JOIN (SELECT payment_id, sum(amount_minor) AS total FROM transactions \
            WHERE kind IN ('charge', 'capture') AND status = 'succeeded' GROUP BY payment_id) t \
            ON t.payment_id = p.id WHERE p.captured_minor <> coalesce(t.total, 0)",
    ),
    (
        "refunded_sum",
        "SELECT p.id::text AS subject, format('refunded %s, its refunds say %s', p.refunded_minor, \
                coalesce(t.total, 0)) AS detail \
         FROM payments p LEFT JOIN (SELECT payment_id, sum(amount_minor) AS total FROM transactions \
            WHERE kind = 'refund' AND status IN ('pending', 'succeeded') GROUP BY payment_id) t \
            ON t.payment_id = p.id WHERE p.refunded_minor <> coalesce(t.total, 0)",
    ),
    (
        "payment_bounds",
        "SELECT id::text AS subject, format('refunded %s of captured %s of %s', refunded_minor, captured_minor, \
                amount_minor) AS detail \
         FROM payments WHERE NOT (0 <= refunded_minor AND refunded_minor <= captured_minor \
            AND captured_minor <= amount_minor)",
    ),
    (
        "payment_status",
        "SELECT p.id::text AS subject, format('%s, with %s captured by %s transactions', p.status, p.captured_minor, \
                coalesce(t.captures, 0)) AS detail \
         FROM payments p LEFT JOIN (SELECT payment_id, \
                count(*) FILTER (WHERE kind IN ('charge', 'capture') AND status = 'succeeded') AS captures, \
                count(*) FILTER (WHERE kind = 'authorization' AND status = 'succeeded') AS holds, \
                count(*) FILTER (WHERE kind IN ('charge', 'authorization') AND status = 'pending') AS asked \
            FROM transactions GROUP BY payment_id) t ON t.payment_id = p.id \
         WHERE (p.status = 'succeeded') <> (coalesce(t.captures, 0) > 0) \
            OR (p.status = 'authorized' AND coalesce(t.holds, 0) = 0) \
            OR (p.status = 'processing' AND coalesce(t.asked, 0) = 0) \
            OR ((p.status IN ('authorized', 'succeeded')) AND (p.secured_at IS NULL OR p.gateway_reference IS NULL))",
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
        "SELECT t.id::text AS subject, format('refund of payment %s, and no event tells it', t.payment_id) AS detail \
         FROM transactions t WHERE t.kind = 'refund' AND t.status = 'succeeded' \
            AND t.settled_at > now() - interval '6 days 20 hours' \
            AND NOT EXISTS (SELECT FROM outbox o WHERE o.name = 'payment.refunded.v1' \
                AND o.payload->>'refund_id' = t.id::text)",
    ),
    (
        "gateway_answers",
        "SELECT id::text AS subject, format('%s of payment %s is %s since %s', kind, payment_id, status, created_at) \
            AS detail \
         FROM transactions WHERE status IN ('pending', 'surplus') AND created_at < now() - interval '15 minutes' \
         UNION ALL \
         SELECT id::text, format('event %s of %s waits since %s', event_id, gateway, received_at) \
         FROM webhook_events WHERE applied_at IS NULL AND received_at < now() - interval '15 minutes'",
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
            tracing::warn!(code, message, "the gateway does not let us look into its books");
        }
        Err(error) => return Err(Fault::unavailable("The gateway's books cannot be read.", 5).caused_by(error)),
    }
    Ok(report)
}

async fn own_books(service: &PaymentService) -> Result<Report, PaymentError> {
    let mut conn = service.db.conn().await?;
    conn.transaction(async |conn| {
        sql_query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").execute(conn).await?;
        let mut report = Report::default();
        for (check, broken) in RULES {
            report.check(conn, MODULE, check, ("payments", broken)).await?;
        }
        report.merge(health::audit(conn, MODULE).await?);
        Ok(report)
    })
    .await
}
