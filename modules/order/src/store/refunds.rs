//! `order_refunds`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::OrderId;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::{is_one_of, prepared};
use serde::Deserialize;
use uuid::Uuid;

use crate::domain::RefundState;
use crate::schema::order_refunds as refunds;

/// A row of `order_refunds`.
#[derive(Clone, Debug, Queryable, Selectable, Deserialize)]
#[diesel(table_name = refunds, check_for_backend(diesel::pg::Pg))]
pub struct RefundRow {
    pub id: Uuid,
    pub order_id: Uuid,
    pub amount_minor: i64,
    pub reason: Option<String>,
    #[diesel(deserialize_as = String)]
    pub status: RefundState,
    pub part_id: Option<Uuid>,
    pub attempt: i32,
}

impl RefundRow {
    /// The part of the order that it is for, if it is for one.
    #[must_use]
    pub fn part(&self) -> Uuid {
        self.part_id.unwrap_or(self.id)
    }
}

/// What is known of a refund.
#[derive(Clone, Copy, Debug)]
pub struct RefundNews<'a> {
    pub id: Uuid,
    pub order: Uuid,
    pub amount_minor: i64,
    pub reason: Option<&'a str>,
    pub status: RefundState,
    pub at: DateTime<Utc>,
}

/// Writes down how far a refund has come, whatever order the news come in: what was on its way ends well or
/// badly, and what ended well can still come back.
pub async fn note_refund(conn: &mut AsyncPgConnection, news: &RefundNews<'_>) -> QueryResult<usize> {
    prepared(
        sql_query(
            "INSERT INTO order_refunds AS known (id, order_id, amount_minor, reason, status, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $6) \
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at, \
                tries = 0, try_at = NULL \
             WHERE known.order_id = excluded.order_id AND excluded.status <> known.status AND \
                (known.status = 'pending' OR (known.status = 'succeeded' AND excluded.status = 'failed'))",
        )
        .bind::<SqlUuid, _>(news.id)
        .bind::<SqlUuid, _>(news.order)
        .bind::<BigInt, _>(news.amount_minor)
        .bind::<Nullable<Text>, _>(news.reason)
        .bind::<Text, _>(news.status.as_str())
        .bind::<Timestamptz, _>(news.at),
    )
    .execute(conn)
    .await
}

/// Writes down that a refund which counted as failed is on its way after all, or done: it had not begun.
pub async fn revive_refund(conn: &mut AsyncPgConnection, id: Uuid, status: RefundState) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE order_refunds SET status = $2, updated_at = now(), tries = 0, try_at = NULL \
             WHERE id = $1 AND status = 'failed'",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Text, _>(status.as_str()),
    )
    .execute(conn)
    .await
}

/// Asks for a refund that failed once more, under another id.
pub async fn insert_attempt(conn: &mut AsyncPgConnection, failed: &RefundRow, id: Uuid) -> QueryResult<usize> {
    prepared(
        sql_query(
            "INSERT INTO order_refunds (id, order_id, amount_minor, reason, status, created_at, updated_at, \
                part_id, attempt) \
             VALUES ($1, $2, $3, $4, 'pending', now(), now(), $5, $6 + 1)",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<SqlUuid, _>(failed.order_id)
        .bind::<BigInt, _>(failed.amount_minor)
        .bind::<Nullable<Text>, _>(failed.reason.as_deref())
        .bind::<SqlUuid, _>(failed.part())
        .bind::<Integer, _>(failed.attempt),
    )
    .execute(conn)
    .await
}

/// The refunds of these orders, the first ones first.
pub async fn refunds_of(mut conn: &AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<RefundRow>> {
    let of_orders = refunds::table
        .filter(is_one_of("order_refunds.order_id", orders))
        .order((refunds::order_id, refunds::created_at, refunds::id))
        .select(RefundRow::as_select());
    prepared(of_orders).load(&mut conn).await
}

/// The latest refund of each of these parts that has one.
pub async fn refunds_of_parts(conn: &mut AsyncPgConnection, parts: &[Uuid]) -> QueryResult<Vec<RefundRow>> {
    let mut found: Vec<RefundRow> = refunds::table
        .filter(refunds::id.eq_any(parts).or(refunds::part_id.eq_any(parts)))
        .order(refunds::attempt.desc())
        .select(RefundRow::as_select())
        .load(conn)
        .await?;
    found.sort_by_key(RefundRow::part);
    found.dedup_by_key(|row| row.part());
    Ok(found)
}

/// The refund with this id.
pub async fn refund(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<RefundRow>> {
    refunds::table.find(id).select(RefundRow::as_select()).first(conn).await.optional()
}

/// Whether a refund of the order that is older than this one is on its way. Younger ones may be waiting for this one.
pub async fn older_are_pending(conn: &mut AsyncPgConnection, order: OrderId, than: Uuid) -> QueryResult<bool> {
    let others = refunds::table
        .filter(refunds::order_id.eq(order.uuid()))
        .filter(refunds::id.lt(than))
        .filter(refunds::status.eq("pending"));
    diesel::select(diesel::dsl::exists(others)).single(conn).await
}

/// Whether all that an order costs has gone back, or is about to: of a hold nothing was left.
pub async fn is_given_back(conn: &mut AsyncPgConnection, order: OrderId) -> QueryResult<bool> {
    #[derive(QueryableByName)]
    struct All {
        #[diesel(sql_type = Bool)]
        is_all: bool,
    }
    let given = sql_query(
        "SELECT total_minor <= (SELECT coalesce(sum(amount_minor), 0) FROM order_refunds \
            WHERE order_id = o.id AND status <> 'failed') AS is_all FROM orders o WHERE id = $1",
    );
    let all: All = prepared(given.bind::<SqlUuid, _>(order.uuid())).single(conn).await?;
    Ok(all.is_all)
}

/// What the accepted parts of an order were to give back and did not, in minor units. What staff refunded by hand
/// since this part was to be refunded counts as given.
pub async fn owed(conn: &mut AsyncPgConnection, order: OrderId, part: Uuid) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Owed {
        #[diesel(sql_type = BigInt)]
        minor: i64,
    }
    let owed = sql_query(
        "SELECT ((SELECT coalesce(sum(refund_minor), 0) FROM order_reversals WHERE order_id = $1 AND status = 'accepted') \
            - (SELECT coalesce(sum(f.amount_minor), 0) FROM order_refunds f \
               WHERE f.order_id = $1 AND f.status <> 'failed' AND ( \
                  f.created_at >= (SELECT created_at FROM order_refunds WHERE id = $2) \
                  OR EXISTS (SELECT FROM order_reversals r WHERE r.id = coalesce(f.part_id, f.id)))))::bigint AS minor",
    );
    let owed = owed.bind::<SqlUuid, _>(order.uuid()).bind::<SqlUuid, _>(part);
    let owed: Owed = prepared(owed).single(conn).await?;
    Ok(owed.minor)
}
