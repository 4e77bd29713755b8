//! What happens while the shop is away: time passes, for everything that is written down with a time. And
//! the signs that a shop which is back has nothing left to do.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

const SCHEMAS: [&str; 5] = ["users", "products", "carts", "payments", "orders"];

/// Every column with a time. Left out is the time from which the id of a cart's order is made: in a true
/// minute it would stay what it is.
const COLUMNS: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), a.attname::text
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY ($1) AND c.relkind = 'r' AND a.atttypid = 'timestamptz'::regtype
      AND NOT a.attisdropped AND a.attgenerated = '' AND (n.nspname, c.relname) <> ('carts', 'carts')
    ORDER BY 1";

/// What is under way, each with a word for it.
const OPEN: [(&str, &str); 6] = [
    ("orders", "SELECT 1 FROM orders.orders WHERE finished_at IS NULL OR (status = 'cancelled' AND undone_at IS NULL)"),
    ("returns", "SELECT 1 FROM orders.order_reversals WHERE status = 'accepted' AND done_at IS NULL"),
    ("refunds", "SELECT 1 FROM orders.order_refunds WHERE status = 'pending'"),
    ("transactions", "SELECT 1 FROM payments.transactions WHERE status IN ('pending', 'surplus')"),
    ("payments", "SELECT 1 FROM payments.payments WHERE status = 'processing'"),
    (
        "answers",
        "SELECT 1 FROM orders.idempotency_keys WHERE status IS NULL
                 UNION ALL SELECT 1 FROM payments.idempotency_keys WHERE status IS NULL",
    ),
];

/// How long a shop is away that died: leases run out, pauses end, work counts as left behind.
pub const AWAY: &str = "1 minute";
/// After so long nothing counts any more as being on its way.
pub const LATER: &str = "6 minutes";

/// The statements that make all of it so much older.
pub async fn passing(owner: &Client, time: &str) -> String {
    let rows = owner.query(COLUMNS, &[&SCHEMAS.as_slice()]).await.unwrap();
    let mut sql = String::from("BEGIN; SET LOCAL session_replication_role = replica;");
    for table in rows.chunk_by(|one, next| one.get::<_, &str>(0) == next.get::<_, &str>(0)) {
        let set: Vec<String> =
            table.iter().map(|row| format!("{0} = {0} - interval '{time}'", row.get::<_, &str>(1))).collect();
        write!(sql, "UPDATE {} SET {};", table[0].get::<_, &str>(0), set.join(", ")).unwrap();
    }
    sql + "COMMIT;"
}

/// Whether nothing is under way any more; what is, if it is so.
pub async fn under_way(owner: &Client) -> Option<String> {
    for schema in SCHEMAS {
        let untold = format!("SELECT name FROM {schema}.outbox WHERE remaining IS DISTINCT FROM 0 LIMIT 1");
        if let Some(row) = owner.query_opt(&untold, &[]).await.unwrap() {
            return Some(format!("{} is not told to all", row.get::<_, &str>(0)));
        }
    }
    for (what, query) in OPEN {
        if owner.query_opt(&format!("SELECT 1 WHERE EXISTS ({query})"), &[]).await.unwrap().is_some() {
            return Some(format!("there are open {what}"));
        }
    }
    None
}

/// Waits until nothing is under way.
pub async fn settled(owner: &Client) -> Result<Duration, String> {
    let started = Instant::now();
    while let Some(open) = under_way(owner).await {
        if started.elapsed() > Duration::from_secs(150) {
            return Err(format!("minutes later {open}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(started.elapsed())
}
