//! Whether the books of the module balance.

use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::Fault;
use eshopz_platform::books::{Finding, Report};
use eshopz_platform::db::{Db, StoreError};
use eshopz_platform::events::health;

const MODULE: &str = "order";

/// A rule: its name, what it goes over, and what breaks it.
struct Rule {
    check: &'static str,
    counted: &'static str,
    broken: &'static str,
}

const RULES: [Rule; 6] = [
    Rule {
        check: "order_total",
        counted: "SELECT count(*) AS rows FROM orders",
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
        counted: "SELECT count(*) AS rows FROM order_lines",
        broken: "SELECT o.number AS subject, format('line %s: %s of %s is not %s', l.position, l.quantity, \
                    l.unit_price_minor, l.line_total_minor) AS detail \
                 FROM order_lines l JOIN orders o ON o.id = l.order_id \
                 WHERE l.line_total_minor <> l.quantity * l.unit_price_minor",
    },
    Rule {
        check: "order_timeline",
        counted: "SELECT count(*) AS rows FROM orders",
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
        counted: "SELECT count(*) AS rows FROM order_timeline WHERE at > now() - interval '7 days' + interval '1 hour'",
        broken: "SELECT o.number AS subject, format('%s at %s without its event', t.event, t.at) AS detail \
                 FROM order_timeline t JOIN orders o ON o.id = t.order_id \
                 WHERE t.at > now() - interval '7 days' + interval '1 hour' AND NOT EXISTS ( \
                    SELECT FROM outbox e WHERE e.name = 'order.' || t.event || '.v1' \
                        AND e.payload ->> 'order_id' = t.order_id::text)",
    },
    Rule {
        check: "order_finished",
        counted: "SELECT count(*) AS rows FROM orders WHERE placed_at < now() - interval '1 minute'",
        broken: "SELECT number AS subject, \
                    format('placed at %s and %s, without payment or with an open cart', placed_at, status) AS detail \
                 FROM orders WHERE finished_at IS NULL AND placed_at < now() - interval '1 minute'",
    },
    Rule {
        check: "order_undone",
        counted: "SELECT count(*) AS rows FROM orders WHERE cancelled_at < now() - interval '1 minute'",
        broken: "SELECT number AS subject, \
                    format('cancelled at %s; stock or money is not back', cancelled_at) AS detail \
                 FROM orders WHERE undone_at IS NULL AND cancelled_at < now() - interval '1 minute'",
    },
];

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Checks every rule, and the events.
pub async fn books(db: &Db) -> Result<Report, Fault> {
    let mut conn = db.conn().await?;
    let mut report = Report::default();
    for rule in &RULES {
        check(&mut conn, rule, &mut report).await?;
    }
    report.merge(health::audit(&mut conn, MODULE).await.map_err(StoreError::from)?);
    Ok(report)
}

async fn check(conn: &mut AsyncPgConnection, rule: &Rule, report: &mut Report) -> Result<(), StoreError> {
    let counted: Counted = sql_query(rule.counted).get_result(conn).await?;
    let broken: Vec<Broken> = sql_query(rule.broken).load(conn).await?;
    report.checked.push((MODULE, rule.check, counted.rows));
    report.findings.extend(broken.into_iter().map(|Broken { subject, detail }| Finding {
        module: MODULE,
        check: rule.check,
        subject,
        detail,
    }));
    Ok(())
}
