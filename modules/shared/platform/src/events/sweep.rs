//! Removing what has served its time, in batches that never hold much. What is old is decided by the database's
//! clock: a process whose own is a day ahead would remove keys that clients still repeat their requests with.

use chrono::Duration;
use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::prepared::prepared;

/// Rows per statement.
const BATCH: i64 = 1_000;

/// How long things are kept.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Events, after every listener has had them.
    pub published: Duration,
    /// What listeners have taken in; longer than an event can be on its way.
    pub inbox: Duration,
    /// Answers to requests with an idempotency key: the contract says a day.
    pub idempotency_keys: Duration,
    /// Keys without an answer: the work is perhaps still to be resumed, and without its key would be done twice.
    pub open_keys: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            published: Duration::days(7),
            inbox: Duration::days(30),
            idempotency_keys: Duration::hours(24),
            open_keys: Duration::days(30),
        }
    }
}

/// How many rows a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub outbox: usize,
    pub inbox: usize,
    pub idempotency_keys: usize,
}

/// The smallest UUIDv7 of the moment `$1` seconds ago.
macro_rules! first_id {
    () => {
        "(lpad(to_hex((extract(epoch FROM now() - $1 * interval '1 second') * 1000)::bigint), 12, '0') \
            || repeat('0', 20))::uuid"
    };
}

// Event ids begin with their time, so that the primary key finds the old ones. The column decides: a dead letter that
// was redriven late is old by its id and yet new.
const OUTBOX: &str = concat!(
    "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE id < ",
    first_id!(),
    " AND published_at < now() - $1 * interval '1 second' ORDER BY id LIMIT $2)"
);
const INBOX: &str = concat!(
    "DELETE FROM inbox WHERE (event_id, listener) IN (SELECT event_id, listener FROM inbox WHERE event_id < ",
    first_id!(),
    " AND received_at < now() - $1 * interval '1 second' ORDER BY event_id LIMIT $2)"
);
// A key may be taken anew meanwhile, hence the second look.
const ANSWERED_KEYS: &str = "DELETE FROM idempotency_keys \
     WHERE status IS NOT NULL AND created_at < now() - $1 * interval '1 second' AND (caller, key) IN \
        (SELECT caller, key FROM idempotency_keys \
         WHERE status IS NOT NULL AND created_at < now() - $1 * interval '1 second' ORDER BY created_at LIMIT $2)";
const OPEN_KEYS: &str = "DELETE FROM idempotency_keys \
     WHERE status IS NULL AND created_at < now() - $1 * interval '1 second' AND (caller, key) IN \
        (SELECT caller, key FROM idempotency_keys \
         WHERE status IS NULL AND created_at < now() - $1 * interval '1 second' ORDER BY created_at LIMIT $2)";

/// Removes what has expired in the module's schema. Each batch is a transaction of its own (unless the
/// caller opened one), so it can be stopped at any moment.
///
/// # Errors
/// A statement's; what was removed before stays removed.
#[eshopz_crash::crash_points]
pub async fn expired(conn: &mut AsyncPgConnection, retention: &Retention) -> Result<Swept, DieselError> {
    Ok(Swept {
        outbox: in_batches(conn, OUTBOX, retention.published).await?,
        inbox: in_batches(conn, INBOX, retention.inbox).await?,
        idempotency_keys: in_batches(conn, ANSWERED_KEYS, retention.idempotency_keys).await?
            + in_batches(conn, OPEN_KEYS, retention.open_keys).await?,
    })
}

#[eshopz_crash::crash_points]
async fn in_batches(conn: &mut AsyncPgConnection, delete: &'static str, older: Duration) -> Result<usize, DieselError> {
    let seconds = older.to_std().unwrap_or_default().as_secs_f64();
    let mut total = 0;
    loop {
        let delete = sql_query(delete).bind::<Double, _>(seconds).bind::<BigInt, _>(BATCH);
        let removed = prepared(delete).execute(conn).await?;
        total += removed;
        if i64::try_from(removed).is_ok_and(|removed| removed < BATCH) {
            return Ok(total);
        }
    }
}
