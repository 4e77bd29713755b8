//! What the jobs look for, in batches that go forward, so that what cannot be done yet does not stop
//! what comes behind it.

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::OrderRow;
use crate::domain::OrderStatus;
use crate::schema::orders;

/// A place in a sequence of orders.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub at: DateTime<Utc>,
    pub id: Uuid,
}

impl Position {
    /// Before every order.
    #[must_use]
    pub const fn start() -> Self {
        Self { at: DateTime::UNIX_EPOCH, id: Uuid::nil() }
    }
}

/// The database's time, which is one for all processes: by it orders are placed and become too old.
pub async fn clock(conn: &mut AsyncPgConnection) -> QueryResult<DateTime<Utc>> {
    diesel::select(now.into_sql::<Timestamptz>()).get_result(conn).await
}

/// Unpaid orders that were placed before a moment.
pub async fn expirable(
    conn: &mut AsyncPgConnection,
    before: DateTime<Utc>,
    after: Position,
    limit: i64,
) -> QueryResult<Vec<OrderRow>> {
    orders::table
        .filter(orders::status.eq(OrderStatus::PendingPayment.as_str()))
        .filter(orders::placed_at.lt(before))
        .filter(orders::placed_at.gt(after.at).or(orders::placed_at.eq(after.at).and(orders::id.gt(after.id))))
        .order((orders::placed_at, orders::id))
        .limit(limit)
        .select(OrderRow::as_select())
        .load(conn)
        .await
}

/// Orders placed before a moment whose payment and cart are not settled.
pub async fn unfinished(
    conn: &mut AsyncPgConnection,
    before: DateTime<Utc>,
    after: Position,
    limit: i64,
) -> QueryResult<Vec<OrderRow>> {
    orders::table
        .filter(orders::finished_at.is_null())
        .filter(orders::placed_at.lt(before))
        .filter(orders::placed_at.gt(after.at).or(orders::placed_at.eq(after.at).and(orders::id.gt(after.id))))
        .order((orders::placed_at, orders::id))
        .limit(limit)
        .select(OrderRow::as_select())
        .load(conn)
        .await
}

/// Orders cancelled before a moment that have not given back everything.
pub async fn not_undone(
    conn: &mut AsyncPgConnection,
    before: DateTime<Utc>,
    after: Position,
    limit: i64,
) -> QueryResult<Vec<OrderRow>> {
    orders::table
        .filter(orders::status.eq(OrderStatus::Cancelled.as_str()))
        .filter(orders::undone_at.is_null())
        .filter(orders::cancelled_at.lt(before))
        .filter(orders::cancelled_at.gt(after.at).or(orders::cancelled_at.eq(after.at).and(orders::id.gt(after.id))))
        .order((orders::cancelled_at, orders::id))
        .limit(limit)
        .select(OrderRow::as_select())
        .load(conn)
        .await
}
