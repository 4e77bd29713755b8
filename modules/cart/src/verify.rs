//! `eshopz verify` for carts: what no constraint of the tables can hold.

use diesel::QueryableByName;
use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::books::{Finding, Report};
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

#[derive(QueryableByName)]
struct Broken {
    #[diesel(sql_type = Text)]
    subject: String,
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    carts: i64,
}

/// Checks the carts and the module's events.
pub async fn books(conn: &mut AsyncPgConnection) -> Result<Report, DieselError> {
    let count: Count = sql_query("SELECT count(*) AS carts FROM carts").get_result(conn).await?;
    let mut report = Report::default();
    for (check, query) in RULES {
        let broken: Vec<Broken> = sql_query(query).load(conn).await?;
        report.checked.push((MODULE, check, count.carts));
        report.findings.extend(broken.into_iter().map(|Broken { subject, detail }| Finding {
            module: MODULE,
            check,
            subject,
            detail,
        }));
    }
    report.merge(health::audit(conn, MODULE).await?);
    Ok(report)
}
