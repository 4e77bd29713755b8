//! `eshopz verify` for carts: what no constraint of the tables can hold.

use diesel::result::Error as DieselError;
use diesel_async::AsyncPgConnection;
use eshopz_platform::books::Report;
use eshopz_platform::events::health;

const MODULE: &str = "cart";

/// Each rule, with the query for the carts that break it.
const RULES: [(&str, &str); 3] = [
    (
        "cart_one_per_order",
        "SELECT order_id::text AS subject, format('%s carts were closed for this order', count(*)) AS detail \
         FROM carts WHERE order_id IS NOT NULL GROUP BY order_id HAVING count(*) > 1",
    ),
    (
        "cart_merged_into_customers",
        "SELECT theirs.id::text AS subject, format('was merged into %s, which is a guest''s', mine.id) AS detail \
         FROM carts theirs JOIN carts mine ON mine.id = theirs.merged_into WHERE mine.customer_id IS NULL",
    ),
    (
        // The job that closes them runs every ten minutes.
        "cart_expired",
        "SELECT id::text AS subject, format('is still open, its time was up at %s', expires_at) AS detail \
         FROM carts WHERE status = 'open' AND expires_at < now() - interval '1 day'",
    ),
];

/// Checks the carts and the module's events.
pub async fn books(conn: &mut AsyncPgConnection) -> Result<Report, DieselError> {
    let mut report = Report::default();
    for (check, broken) in RULES {
        report.check(conn, MODULE, check, ("carts", broken)).await?;
    }
    report.merge(health::audit(conn, MODULE).await?);
    Ok(report)
}
