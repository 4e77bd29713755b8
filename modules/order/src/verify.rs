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

const RULES: [Rule; 6] = [
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
                 WHERE t.at > now() - interval '7 days' + interval '1 hour' AND NOT EXISTS ( \
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
