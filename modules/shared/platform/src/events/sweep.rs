//! Removing what has served its time, in batches that never hold much.

use chrono::{DateTime, Duration, Utc};
use diesel::result::Error as DieselError;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::{Builder, Uuid};

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
}

impl Default for Retention {
    fn default() -> Self {
        Self { published: Duration::days(7), inbox: Duration::days(30), idempotency_keys: Duration::hours(24) }
    }
}

/// How many rows a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub outbox: usize,
    pub inbox: usize,
    pub idempotency_keys: usize,
}

/// Removes what has expired in the module's schema. Each batch is a transaction of its own (unless the
/// caller opened one), so it can be stopped at any moment.
///
/// # Errors
/// A statement's; what was removed before stays removed.
#[eshopz_crash::crash_points]
pub async fn expired(conn: &mut AsyncPgConnection, retention: &Retention) -> Result<Swept, DieselError> {
    let now = Utc::now();
    // Event ids begin with their time, so that the primary key finds the old ones. The column decides:
    // a dead letter that was redriven late is old by its id and yet new.
    let outbox = "DELETE FROM outbox WHERE id IN \
         (SELECT id FROM outbox WHERE id < $1 AND published_at < $2 ORDER BY id LIMIT $3)";
    let inbox = "DELETE FROM inbox WHERE (event_id, listener) IN \
         (SELECT event_id, listener FROM inbox WHERE event_id < $1 AND received_at < $2 ORDER BY event_id LIMIT $3)";
    // Keys have no such id, so `$1` narrows nothing. A key may be taken anew meanwhile, hence the second look.
    let keys = "DELETE FROM idempotency_keys WHERE created_at < $2 AND (caller, key) IN \
         (SELECT caller, key FROM idempotency_keys WHERE created_at < $2 AND $1::uuid IS NOT NULL \
          ORDER BY created_at LIMIT $3)";
    Ok(Swept {
        outbox: in_batches(conn, outbox, now - retention.published).await?,
        inbox: in_batches(conn, inbox, now - retention.inbox).await?,
        idempotency_keys: in_batches(conn, keys, now - retention.idempotency_keys).await?,
    })
}

#[eshopz_crash::crash_points]
async fn in_batches(
    conn: &mut AsyncPgConnection,
    delete: &'static str,
    before: DateTime<Utc>,
) -> Result<usize, DieselError> {
    let mut total = 0;
    loop {
        let removed = prepared(
            sql_query(delete)
                .bind::<SqlUuid, _>(first_id_of(before))
                .bind::<Timestamptz, _>(before)
                .bind::<BigInt, _>(BATCH),
        )
        .execute(conn)
        .await?;
        total += removed;
        if i64::try_from(removed).is_ok_and(|removed| removed < BATCH) {
            return Ok(total);
        }
    }
}

/// The smallest UUIDv7 of a moment.
fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_compare_with_their_time() {
        let now = Utc::now();
        let id = Uuid::now_v7();
        assert!(first_id_of(now - Duration::seconds(1)) < id);
        assert!(id < first_id_of(now + Duration::seconds(1)));
    }
}
