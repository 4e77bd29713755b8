//! Waits, when nothing breaks any more, until the shop has finished all that it has begun.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use tokio_postgres::Client;

/// Longer than the longest pause before something is tried again.
const PATIENCE: Duration = Duration::from_secs(240);
const SCHEMAS: [&str; 5] = ["users", "products", "carts", "payments", "orders"];

/// What is unfinished business, and a query that counts it.
fn business() -> Vec<(String, String)> {
    let outbox = |schema: &str| {
        let what = format!("events of {schema} that are not told");
        (what, format!("SELECT count(*) FROM {schema}.outbox WHERE remaining IS DISTINCT FROM 0"))
    };
    let others = [
        ("unpaid orders", "orders.orders WHERE status = 'pending_payment'"),
        ("unfinished orders", "orders.orders WHERE finished_at IS NULL"),
        ("cancelled orders that are not undone", "orders.orders WHERE cancelled_at IS NOT NULL AND undone_at IS NULL"),
        (
            "parts of orders that are not taken back",
            "orders.order_reversals WHERE status = 'accepted' AND done_at IS NULL",
        ),
        ("open transactions", "payments.transactions WHERE status IN ('pending', 'surplus')"),
        ("webhooks that are not applied", "payments.webhook_events WHERE applied_at IS NULL"),
    ];
    let others = others.map(|(what, rows)| (what.to_owned(), format!("SELECT count(*) FROM {rows}")));
    SCHEMAS.iter().map(|schema| outbox(schema)).chain(others).collect()
}

/// How long it took, or what is left.
pub async fn settle(database: &Client) -> Result<Duration, String> {
    let began = Instant::now();
    loop {
        let left = left(database).await.map_err(|error| error.to_string())?;
        if left.is_empty() {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("not settled after {} s: {}", PATIENCE.as_secs(), left.join(", ")));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn left(database: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut left = Vec::new();
    for (what, query) in business() {
        let count: i64 = database.query_one(&query, &[]).await?.try_get(0)?;
        if count > 0 {
            left.push(format!("{count} {what}"));
        }
    }
    Ok(left)
}
