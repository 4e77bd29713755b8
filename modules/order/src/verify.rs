//! Whether the books of the module balance.

use eshopz_kernel::Fault;
use eshopz_platform::books::Report;
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::health;

const MODULE: &str = "order";

/// A rule: its name, what it goes over, and what breaks it.
struct Rule {
    check: &'static str,
    table: &'static str,
    broken: &'static str,
}

const RULES: [Rule; 10] = [
    Rule {
        check: "order_total",
        table: "orders",
        broken: "SELECT o.number AS subject, format('total %s of subtotal %s - discount %s + shipping %s + tax %s; \
                    the lines sum up to %s', o.total_minor, o.subtotal_minor, o.discount_minor, o.shipping_minor, \
                    o.tax_minor, coalesce(l.total, 0)) AS detail \
                 FROM orders o LEFT JOIN ( \
                    SELECT order_id, sum(line_total_minor) AS total FROM order_lines GROUP BY order_id \
                 ) l ON l.order_id = o.id \
                 WHERE o.total_minor <> o.subtotal_minor - o.discount_minor + o.shipping_minor + o.tax_minor \
                    OR o.subtotal_minor <> coalesce(l.total, 0)",
    },
    Rule {
        check: "order_line_total",
        table: "order_lines",
        broken: "SELECT o.number AS subject, format('line %s: %s of %s is not %s', l.position, l.quantity, \
                    l.unit_price_minor, l.line_total_minor) AS detail \
                 FROM order_lines l JOIN orders o ON o.id = l.order_id \
                 WHERE l.line_total_minor <> l.quantity * l.unit_price_minor",
    },
    Rule {
        check: "order_timeline",
        table: "orders",
        broken: "SELECT o.number AS subject, \
                    format('is %s; its timeline ends with %s', o.status, coalesce(t.to_status, 'nothing')) AS detail \
                 FROM orders o LEFT JOIN ( \
                    SELECT DISTINCT ON (order_id) order_id, to_status FROM order_timeline ORDER BY order_id, id DESC \
                 ) t ON t.order_id = o.id \
                 WHERE t.to_status IS DISTINCT FROM o.status",
    },
    // Events are kept for a week after they were delivered; the hour is for the sweep's clock.
    Rule {
        check: "order_events",
        table: "order_timeline WHERE at > now() - interval '7 days' + interval '1 hour'",
        broken: "SELECT o.number AS subject, format('%s at %s without its event', t.event, t.at) AS detail \
                 FROM order_timeline t JOIN orders o ON o.id = t.order_id \
                 WHERE t.at > now() - interval '7 days' + interval '1 hour' AND t.event <> 'repaired' AND NOT EXISTS ( \
                    SELECT FROM outbox e WHERE e.name = 'order.' || t.event || '.v1' \
                        AND e.payload ->> 'order_id' = t.order_id::text)",
    },
    Rule {
        check: "order_finished",
        table: "orders WHERE placed_at < now() - interval '1 minute'",
        broken: "SELECT number AS subject, \
                    format('placed at %s and %s, without payment or with an open cart', placed_at, status) AS detail \
                 FROM orders WHERE finished_at IS NULL AND placed_at < now() - interval '1 minute'",
    },
    Rule {
        check: "order_undone",
        table: "orders WHERE cancelled_at < now() - interval '1 minute'",
        broken: "SELECT number AS subject, \
                    format('cancelled at %s; stock or money is not back', cancelled_at) AS detail \
                 FROM orders WHERE undone_at IS NULL AND cancelled_at < now() - interval '1 minute'",
    },
    Rule {
        check: "order_lines_taken_back",
        table: "order_lines",
        broken: "SELECT o.number AS subject, format('variant %s: %s cancelled, %s returned, %s asked for; its parts \
                    say %s, %s, %s', l.variant_id, l.cancelled_quantity, l.returned_quantity, l.asked_quantity, \
                    coalesce(p.cancelled, 0), coalesce(p.returned, 0), coalesce(p.asked, 0)) AS detail \
                 FROM order_lines l FULL JOIN ( \
                    SELECT r.order_id, i.variant_id, \
                        sum(i.quantity) FILTER (WHERE r.kind = 'cancellation') AS cancelled, \
                        sum(i.quantity) FILTER (WHERE r.kind = 'return' AND r.status = 'accepted') AS returned, \
                        sum(i.quantity) FILTER (WHERE r.status = 'requested') AS asked \
                    FROM order_reversals r JOIN order_reversal_lines i ON i.reversal_id = r.id GROUP BY 1, 2 \
                 ) p ON p.order_id = l.order_id AND p.variant_id = l.variant_id \
                 JOIN orders o ON o.id = coalesce(l.order_id, p.order_id) \
                 WHERE coalesce(l.cancelled_quantity, 0) <> coalesce(p.cancelled, 0) \
                    OR coalesce(l.returned_quantity, 0) <> coalesce(p.returned, 0) \
                    OR coalesce(l.asked_quantity, 0) <> coalesce(p.asked, 0)",
    },
    Rule {
        check: "order_reversed",
        table: "orders",
        broken: "SELECT o.number AS subject, format('parts worth %s of %s without shipping; its parts say %s', \
                    o.reversed_minor, o.total_minor - o.shipping_minor, coalesce(r.worth, 0)) AS detail \
                 FROM orders o LEFT JOIN ( \
                    SELECT order_id, sum(worth_minor) AS worth FROM order_reversals GROUP BY order_id \
                 ) r ON r.order_id = o.id \
                 WHERE o.reversed_minor <> coalesce(r.worth, 0) \
                    OR o.reversed_minor > o.total_minor - o.shipping_minor",
    },
    Rule {
        check: "order_refunds",
        table: "order_reversals",
        broken: "SELECT o.number AS subject, format('part %s is to refund %s; its refund is %s over %s', r.id, \
                    r.refund_minor, coalesce(f.status, 'missing'), coalesce(f.amount_minor, 0)) AS detail \
                 FROM order_reversals r JOIN orders o ON o.id = r.order_id LEFT JOIN order_refunds f ON f.id = r.id \
                 WHERE coalesce(r.refund_minor, 0) <> coalesce(f.amount_minor, 0) OR f.order_id <> r.order_id",
    },
    Rule {
        check: "order_taken_back",
        table: "order_reversals WHERE status = 'accepted' AND updated_at < now() - interval '1 minute'",
        broken: "SELECT o.number AS subject, \
                    format('part %s accepted at %s; stock or money is not back', r.id, r.updated_at) AS detail \
                 FROM order_reversals r JOIN orders o ON o.id = r.order_id \
                 WHERE r.status = 'accepted' AND r.done_at IS NULL AND r.updated_at < now() - interval '1 minute'",
    },
];

/// Checks every rule, and the events.
pub async fn books(db: &Db) -> Result<Report, Fault> {
    let mut conn = db.conn().await?;
    let mut report = Report::default();
    for rule in &RULES {
        report.check(&mut conn, MODULE, rule.check, (rule.table, rule.broken)).await.map_err(StoreError::from)?;
    }
    report.merge(health::audit(&mut conn, MODULE).await.map_err(StoreError::from)?);
    Ok(report)
}
