//! How far behind a module's events are, and which of them are stuck.

use diesel::prelude::QueryableByName;
use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double};
use diesel_async::AsyncPgConnection;

use crate::books::Report;
use crate::db::Single as _;

/// A module's backlog.
#[derive(Clone, Copy, Debug, PartialEq, QueryableByName)]
pub struct Lag {
    /// New events and deliveries that are not done, dead letters aside.
    #[diesel(sql_type = BigInt)]
    pub pending: i64,
    /// Age in seconds of the oldest event among them; 0 when there is none.
    #[diesel(sql_type = Double)]
    pub oldest_seconds: f64,
    #[diesel(sql_type = BigInt)]
    pub dead: i64,
}

/// The module's backlog now.
///
/// # Errors
/// The statement's.
pub async fn lag(conn: &mut AsyncPgConnection) -> Result<Lag, DieselError> {
    sql_query(
        "WITH pending AS ( \
            SELECT occurred_at FROM outbox WHERE remaining IS NULL \
            UNION ALL \
            SELECT o.occurred_at FROM outbox_deliveries d JOIN outbox o ON o.id = d.event_id WHERE d.dead_at IS NULL \
         ) \
         SELECT count(*) AS pending, \
                greatest(0, coalesce(extract(epoch FROM now() - min(occurred_at)), 0))::float8 AS oldest_seconds, \
                (SELECT count(*) FROM outbox_deliveries WHERE dead_at IS NOT NULL) AS dead FROM pending",
    )
    .single(conn)
    .await
}

/// Each rule, with the query for what breaks it. What nobody has taken up for five minutes counts as
/// stuck. Events on their way break none: new ones, those that
/// are being delivered and those that wait for their next attempt.
const RULES: [(&str, &str); 4] = [
    (
        "outbox_taken_up",
        "SELECT id::text AS subject, format('%s of %s was never taken up by a relay', name, occurred_at) AS detail \
         FROM outbox WHERE remaining IS NULL AND occurred_at < now() - interval '5 minutes'",
    ),
    (
        "outbox_deliveries",
        "SELECT o.id::text AS subject, format('%s waits for %s listeners and has deliveries for %s', o.name, \
                coalesce(o.remaining, 0), coalesce(d.deliveries, 0)) AS detail \
         FROM outbox o LEFT JOIN ( \
            SELECT event_id, count(*) AS deliveries FROM outbox_deliveries GROUP BY event_id \
         ) d ON d.event_id = o.id WHERE coalesce(o.remaining, 0) <> coalesce(d.deliveries, 0)",
    ),
    (
        "outbox_delivered",
        "SELECT event_id::text AS subject, format('due for %s since %s', listener, available_at) AS detail \
         FROM outbox_deliveries WHERE dead_at IS NULL AND available_at < now() - interval '5 minutes'",
    ),
    (
        "outbox_dead_letters",
        "SELECT event_id::text AS subject, \
                format('%s gave up after %s attempts: %s', listener, attempts, left(last_error, 200)) AS detail \
         FROM outbox_deliveries WHERE dead_at IS NOT NULL",
    ),
];

/// Whether the module's events all get where they should, for `verify`.
///
/// # Errors
/// A statement's.
pub async fn audit(conn: &mut AsyncPgConnection, module: &'static str) -> Result<Report, DieselError> {
    let mut report = Report::default();
    for (check, broken) in RULES {
        report.check(conn, module, check, ("outbox", broken)).await?;
    }
    Ok(report)
}
