//! Do the books balance? Each module checks its own; what holds between modules is checked here, by the
//! only code that may know more than one of them.

use anyhow::Context as _;
use eshopz_platform::books::{Finding, Report};
use tokio_postgres::{Client, NoTls};

use crate::cli::Settings;
use crate::compose::compose;
use crate::database::Database;
use crate::modules::Module;
use crate::neighbours::Neighbours;

/// A rule between modules: a statement that counts what it looks at, and one whose rows,
/// `(subject, detail)`, are each a finding.
struct Rule {
    check: &'static str,
    count: &'static str,
    violations: &'static str,
}

const RULES: [Rule; 3] = [
    Rule {
        check: "order_payment",
        count: "SELECT count(*) FROM orders.orders",
        violations: "
            SELECT o.number, format('order is %s over %s, its payment is %s over %s, captured %s, refunded %s',
                                    o.status, o.total_minor, coalesce(p.status, 'missing'), p.amount_minor,
                                    p.captured_minor, p.refunded_minor)
            FROM orders.orders o LEFT JOIN payments.payments p ON p.id = o.payment_id AND p.order_id = o.id
            WHERE o.finished_at IS NOT NULL AND (
                p.id IS NULL OR p.amount_minor <> o.total_minor OR p.currency <> o.currency
                OR (o.status IN ('paid', 'processing', 'shipped', 'delivered') AND o.total_minor > 0
                    AND p.status NOT IN ('succeeded', 'authorized'))
                OR (o.status = 'pending_payment' AND p.status IN ('succeeded', 'authorized')
                    AND p.updated_at < now() - interval '1 minute')
                OR (o.undone_at IS NOT NULL AND p.captured_minor <> p.refunded_minor
                    AND p.updated_at < now() - interval '1 minute'))",
    },
    Rule {
        check: "order_stock",
        count: "SELECT count(*) FROM products.reservations",
        violations: "
            SELECT coalesce(o.number, r.order_id::text),
                   format('order is %s, its stock is %s', coalesce(o.status, 'missing'), coalesce(r.state, 'not reserved'))
            FROM orders.orders o FULL JOIN products.reservations r ON r.order_id = o.id
            WHERE (o.id IS NULL AND r.state = 'sold')
               OR (o.id IS NULL AND r.state = 'held' AND r.expires_at < now() - interval '5 minutes')
               OR (o.status = 'pending_payment' AND r.order_id IS NULL)
               OR (o.status IN ('paid', 'processing', 'shipped', 'delivered') AND r.state IS DISTINCT FROM 'sold')
               OR (o.undone_at IS NOT NULL AND r.state IS DISTINCT FROM 'released')
            UNION ALL
            SELECT o.number, format('%s of variant %s ordered, not so reserved', l.quantity, l.variant_id)
            FROM (SELECT order_id, variant_id, sum(quantity)::bigint AS quantity FROM orders.order_lines GROUP BY 1, 2
                  EXCEPT SELECT order_id, variant_id, quantity FROM products.reservation_lines) l
            JOIN orders.orders o ON o.id = l.order_id",
    },
    Rule {
        check: "order_cart",
        count: "SELECT count(*) FROM orders.orders",
        violations: "
            SELECT o.number, format('its cart %s is %s', c.id, c.status)
            FROM orders.orders o JOIN carts.carts c ON c.id = o.cart_id
            WHERE o.finished_at IS NOT NULL AND c.status = 'open'",
    },
];

/// Checks everything.
///
/// # Errors
/// When the database cannot be reached.
pub async fn verify(database: &Database, settings: &Settings) -> anyhow::Result<Report> {
    let mut report = compose(database, settings, &Module::ALL, &Neighbours::none())?.verify().await?;
    if let Some(client) = shared_server(database).await? {
        for rule in &RULES {
            report.merge(check(&client, rule).await?);
        }
    }
    Ok(report)
}

/// A connection that sees every schema, when all modules live on one server.
async fn shared_server(database: &Database) -> anyhow::Result<Option<Client>> {
    let url = database.url(Module::Order)?;
    for module in Module::ALL {
        if database.url(module)? != url {
            tracing::warn!("the modules have databases of their own: what holds between them is not checked");
            return Ok(None);
        }
    }
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.context("cannot reach the database")?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::warn!(%error, "the connection broke");
        }
    });
    Ok(Some(client))
}

async fn check(client: &Client, rule: &Rule) -> anyhow::Result<Report> {
    let rows: i64 = client.query_one(rule.count, &[]).await?.try_get(0)?;
    let mut findings = Vec::new();
    for row in client.query(rule.violations, &[]).await.with_context(|| format!("check {}", rule.check))? {
        findings.push(Finding { module: "shop", check: rule.check, subject: row.try_get(0)?, detail: row.try_get(1)? });
    }
    Ok(Report { checked: vec![("shop", rule.check, rows)], findings })
}
