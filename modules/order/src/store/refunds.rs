//! `order_refunds`.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::RefundState;
use crate::schema::order_refunds as refunds;

/// A row of `order_refunds`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = refunds, check_for_backend(diesel::pg::Pg))]
pub struct RefundRow {
    pub id: Uuid,
    pub order_id: Uuid,
    pub amount_minor: i64,
    pub reason: Option<String>,
    #[diesel(deserialize_as = String)]
    pub status: RefundState,
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
             ON CONFLICT (id) DO UPDATE SET status = excluded.status, updated_at = excluded.updated_at \
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

/// The refunds of these orders, the first ones first.
pub async fn refunds_of(conn: &mut AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<RefundRow>> {
    refunds::table
        .filter(refunds::order_id.eq_any(orders))
        .order((refunds::order_id, refunds::created_at, refunds::id))
        .select(RefundRow::as_select())
        .load(conn)
        .await
}

/// Those of these refunds that are there.
pub async fn refunds(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<RefundRow>> {
    refunds::table.filter(refunds::id.eq_any(ids)).select(RefundRow::as_select()).load(conn).await
}
