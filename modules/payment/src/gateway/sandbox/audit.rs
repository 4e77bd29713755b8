//! The sandbox's books beside the module's: what one collected or gave back, the other must know.

use diesel::result::QueryResult;
use diesel_async::AsyncPgConnection;
use eshopz_platform::books::Report;

const MODULE: &str = "payment";
const CHECK: &str = "gateway_drift";

/// Payments that wait for an answer are left out: there the two may differ for a moment. A charge that
/// no payment rests on must have gone back. One that we never asked for, of a payment that is none of ours, is
/// another program's.
const DRIFT: &str = "\
    WITH waiting AS (SELECT DISTINCT payment_id FROM transactions WHERE status IN ('pending', 'surplus')), \
    given_back AS (SELECT payment_id, sum(amount_minor)::bigint AS amount FROM transactions \
        WHERE kind = 'refund' AND status = 'succeeded' GROUP BY payment_id) \
    SELECT c.reference AS subject, \
        format('the sandbox collected %s and gave back %s, payment %s has %s and %s', c.captured_minor, \
            c.refunded_minor, c.payment_id, coalesce(p.captured_minor, 0), coalesce(g.amount, 0)) AS detail \
    FROM sandbox_charges c \
    LEFT JOIN payments p ON p.id = c.payment_id AND p.gateway_reference = c.reference AND p.gateway = 'sandbox' \
    LEFT JOIN given_back g ON g.payment_id = p.id \
    WHERE NOT EXISTS (SELECT FROM waiting w WHERE w.payment_id = c.payment_id) \
      AND (c.merchant_reference <> '' OR EXISTS (SELECT FROM payments o WHERE o.id = c.payment_id)) \
      AND CASE WHEN p.id IS NULL THEN c.captured_minor <> c.refunded_minor \
          ELSE c.captured_minor <> p.captured_minor OR c.refunded_minor <> coalesce(g.amount, 0) END \
    UNION ALL \
    SELECT p.id::text, format('it rests on %s, which the sandbox does not know', p.gateway_reference) \
    FROM payments p WHERE p.gateway = 'sandbox' AND p.captured_minor > 0 \
      AND NOT EXISTS (SELECT FROM sandbox_charges c WHERE c.reference = p.gateway_reference) \
    ORDER BY 1";

/// Compares them, in one statement.
pub(super) async fn compare(conn: &mut AsyncPgConnection) -> QueryResult<Report> {
    let mut report = Report::default();
    report.check(conn, MODULE, CHECK, ("sandbox_charges", DRIFT)).await?;
    Ok(report)
}
