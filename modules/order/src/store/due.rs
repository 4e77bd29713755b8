//! What the jobs look for. Whatever is taken is due again after a pause that grows from try to try, so that what
//! cannot be done yet neither stops what comes behind it nor is asked about all the time. All of it is by the
//! database's clock: that of a process may be wrong.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Double, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::OrderRow;
use crate::schema::orders;

/// Rows that are taken at once.
const BATCH: i64 = 50;

/// A place in a sequence of orders.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

/// Something that a job is to go on with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Orders that nobody has paid.
    Unpaid,
    /// Orders whose payment and cart are not settled. The cancelled ones are settled by their undoing.
    Unfinished,
    /// Cancelled orders that have not given back everything.
    NotUndone,
    /// Accepted parts whose stock or money is not back.
    NotTakenBack,
    /// Refunds of parts that are on their way.
    Unrefunded,
    /// Refunds of parts that failed, a few times each: the longer ago, the rarer.
    Refused,
}

/// Takes `$2` rows of a table that are as `$due` says, the oldest first; `$pause` is in seconds.
macro_rules! take {
    ($table:literal, $due:literal, $by:literal, $pause:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " AS taken SET tries = taken.tries + 1, try_at = now() + ",
            $pause,
            " * interval '1 second' WHERE id IN (SELECT id FROM ",
            $table,
            " AS t WHERE ",
            $due,
            " ORDER BY ",
            $by,
            ", id LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING id"
        )
    };
    ($table:literal, $due:literal, $by:literal) => {
        take!($table, $due, $by, "least(15 * 2 ^ least(taken.tries, 10), 300)")
    };
}

impl Due {
    const fn statement(self) -> &'static str {
        match self {
            Self::Unpaid => take!(
                "orders",
                "status = 'pending_payment' AND placed_at < now() - $1 * interval '1 second' \
                    AND (try_at IS NULL OR try_at <= now())",
                "placed_at"
            ),
            Self::Unfinished => take!(
                "orders",
                "finished_at IS NULL AND status <> 'cancelled' AND placed_at < now() - $1 * interval '1 second' \
                    AND (try_at IS NULL OR try_at <= now())",
                "placed_at"
            ),
            Self::NotUndone => take!(
                "orders",
                "status = 'cancelled' AND undone_at IS NULL AND cancelled_at < now() - $1 * interval '1 second' \
                    AND (try_at IS NULL OR try_at <= now())",
                "cancelled_at"
            ),
            Self::NotTakenBack => take!(
                "order_reversals",
                "status = 'accepted' AND done_at IS NULL AND updated_at < now() - $1 * interval '1 second' \
                    AND (try_at IS NULL OR try_at <= now())",
                "updated_at"
            ),
            Self::Unrefunded => take!(
                "order_refunds",
                "status = 'pending' AND updated_at < now() - $1 * interval '1 second' \
                    AND (try_at IS NULL OR try_at <= now()) AND EXISTS (SELECT FROM order_reversals r \
                        WHERE r.id = coalesce(t.part_id, t.id) AND r.done_at IS NOT NULL)",
                "updated_at"
            ),
            // A cancelled order gives all of it back at once; what was tried in vain for days is for people.
            Self::Refused => take!(
                "order_refunds",
                "status = 'failed' AND tries + attempt < 5 \
                    AND coalesce(try_at, updated_at + least($1 * 6 ^ attempt, 86400) * interval '1 second') <= now() \
                    AND EXISTS (SELECT FROM order_reversals r JOIN orders o ON o.id = r.order_id \
                        WHERE r.id = coalesce(t.part_id, t.id) AND r.done_at IS NOT NULL AND o.status <> 'cancelled') \
                    AND NOT EXISTS (SELECT FROM order_refunds n \
                        WHERE n.part_id = coalesce(t.part_id, t.id) AND n.attempt > t.attempt)",
                "updated_at",
                "least($1 * 6 ^ (taken.tries + taken.attempt + 1), 86400)"
            ),
        }
    }
}

/// Takes some of what has been so for longer than `older`: the ids of the orders, parts or refunds.
pub async fn take(conn: &mut AsyncPgConnection, due: Due, older: Duration) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Taken {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let taken: Vec<Taken> =
        prepared(sql_query(due.statement()).bind::<Double, _>(older.as_secs_f64()).bind::<BigInt, _>(BATCH))
            .load(conn)
            .await?;
    Ok(taken.into_iter().map(|taken| taken.id).collect())
}

/// These orders, the first ones first.
pub async fn by_ids(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<OrderRow>> {
    orders::table
        .filter(orders::id.eq_any(ids))
        .order((orders::placed_at, orders::id))
        .select(OrderRow::as_select())
        .load(conn)
        .await
}
