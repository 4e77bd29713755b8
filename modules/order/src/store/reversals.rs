//! `order_reversals` and their lines. The order is locked by whoever adds or decides one.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::OrderId;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::{Quantities, ReversalKind, ReversalStatus};
use crate::schema::{order_reversal_lines as lines, order_reversals as reversals};

/// A row of `order_reversals`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = reversals, check_for_backend(diesel::pg::Pg))]
pub struct ReversalRow {
    pub id: Uuid,
    pub order_id: Uuid,
    #[diesel(deserialize_as = String)]
    pub status: ReversalStatus,
    pub reason: Option<String>,
    pub note: Option<String>,
    pub restock: Option<bool>,
    pub worth_minor: Option<i64>,
    pub refund_minor: Option<i64>,
    pub version: i64,
    pub requested_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub done_at: Option<DateTime<Utc>>,
}

impl ReversalRow {
    #[must_use]
    pub const fn order(&self) -> OrderId {
        OrderId(self.order_id)
    }
}

/// A row of `order_reversal_lines`.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = lines, check_for_backend(diesel::pg::Pg))]
pub struct ReversalLineRow {
    pub reversal_id: Uuid,
    pub variant_id: Uuid,
    pub quantity: i64,
}

/// What was decided about a part.
#[derive(Clone, Debug, AsChangeset)]
#[diesel(table_name = reversals)]
pub struct Decision {
    pub status: &'static str,
    pub note: Option<String>,
    pub restock: Option<bool>,
    pub worth_minor: Option<i64>,
    pub refund_minor: Option<i64>,
    pub updated_at: DateTime<Utc>,
}

impl Decision {
    /// Nothing is taken back: nobody has decided, or against it.
    #[must_use]
    pub const fn undecided(status: ReversalStatus, note: Option<String>, at: DateTime<Utc>) -> Self {
        Self { status: status.as_str(), note, restock: None, worth_minor: None, refund_minor: None, updated_at: at }
    }
}

/// A part that is taken back, or is to be.
#[derive(Clone, Debug)]
pub struct NewReversal<'a> {
    pub id: Uuid,
    pub order: OrderId,
    pub kind: ReversalKind,
    pub reason: Option<&'a str>,
    pub at: DateTime<Utc>,
}

/// Writes a part down, with its lines and what was decided of it so far.
pub async fn insert_reversal(
    conn: &mut AsyncPgConnection,
    new: &NewReversal<'_>,
    wanted: &Quantities,
    decision: &Decision,
) -> QueryResult<ReversalRow> {
    let row = diesel::insert_into(reversals::table)
        .values((
            reversals::id.eq(new.id),
            reversals::order_id.eq(new.order.uuid()),
            reversals::kind.eq(new.kind.as_str()),
            reversals::status.eq(decision.status),
            reversals::reason.eq(new.reason),
            reversals::restock.eq(decision.restock),
            reversals::worth_minor.eq(decision.worth_minor),
            reversals::refund_minor.eq(decision.refund_minor),
            reversals::requested_at.eq(new.at),
            reversals::updated_at.eq(new.at),
        ))
        .returning(ReversalRow::as_returning())
        .single(conn)
        .await?;
    let rows: Vec<_> = wanted
        .iter()
        .map(|(variant, quantity)| {
            (lines::reversal_id.eq(new.id), lines::variant_id.eq(variant.uuid()), lines::quantity.eq(*quantity))
        })
        .collect();
    diesel::insert_into(lines::table).values(rows).execute(conn).await?;
    Ok(row)
}

/// Decides a part.
pub async fn decide(conn: &mut AsyncPgConnection, id: Uuid, decision: &Decision) -> QueryResult<ReversalRow> {
    diesel::update(reversals::table.find(id))
        .set((decision, reversals::version.eq(reversals::version + 1)))
        .returning(ReversalRow::as_returning())
        .single(conn)
        .await
}

/// Notes that stock and money of an accepted part are back.
pub async fn set_reversal_done(conn: &mut AsyncPgConnection, id: Uuid, at: DateTime<Utc>) -> QueryResult<usize> {
    diesel::update(reversals::table.find(id).filter(reversals::done_at.is_null()))
        .set(reversals::done_at.eq(at))
        .execute(conn)
        .await
}

/// How lines count that are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Cancelled,
    /// In a return that waits.
    Asked,
    /// No longer asked, but returned.
    Returned,
    /// No longer asked.
    Refused,
}

/// Counts lines of an order. Breaks `order_lines_taken_back` when more would come back than was bought.
pub async fn count_lines(
    conn: &mut AsyncPgConnection,
    order: OrderId,
    wanted: &Quantities,
    as_what: Counted,
) -> QueryResult<usize> {
    let (cancelled, asked, returned): (i64, i64, i64) = match as_what {
        Counted::Cancelled => (1, 0, 0),
        Counted::Asked => (0, 1, 0),
        Counted::Returned => (0, -1, 1),
        Counted::Refused => (0, -1, 0),
    };
    let (variants, quantities): (Vec<Uuid>, Vec<i64>) =
        wanted.iter().map(|(variant, quantity)| (variant.uuid(), *quantity)).unzip();
    prepared(
        sql_query(
            "UPDATE order_lines l SET cancelled_quantity = cancelled_quantity + $4 * w.quantity, \
                asked_quantity = asked_quantity + $5 * w.quantity, \
                returned_quantity = returned_quantity + $6 * w.quantity \
             FROM unnest($2, $3) AS w (variant_id, quantity) \
             WHERE l.order_id = $1 AND l.variant_id = w.variant_id",
        )
        .bind::<SqlUuid, _>(order.uuid())
        .bind::<Array<SqlUuid>, _>(variants)
        .bind::<Array<BigInt>, _>(quantities)
        .bind::<BigInt, _>(cancelled)
        .bind::<BigInt, _>(asked)
        .bind::<BigInt, _>(returned),
    )
    .execute(conn)
    .await
}

/// The part with this id.
pub async fn reversal(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<ReversalRow>> {
    reversals::table.find(id).select(ReversalRow::as_select()).first(conn).await.optional()
}

/// The return with this id, if it is one of this order.
pub async fn return_of(conn: &mut AsyncPgConnection, order: OrderId, id: Uuid) -> QueryResult<Option<ReversalRow>> {
    reversals::table
        .find(id)
        .filter(reversals::order_id.eq(order.uuid()))
        .filter(reversals::kind.eq(ReversalKind::Return.as_str()))
        .select(ReversalRow::as_select())
        .first(conn)
        .await
        .optional()
}

/// Up to `limit` returns of an order, the first ones first, after the one with the id `after`.
pub async fn returns_of(
    conn: &mut AsyncPgConnection,
    order: OrderId,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<ReversalRow>> {
    reversals::table
        .filter(reversals::order_id.eq(order.uuid()))
        .filter(reversals::kind.eq(ReversalKind::Return.as_str()))
        .filter(reversals::id.gt(after))
        .order(reversals::id)
        .limit(limit)
        .select(ReversalRow::as_select())
        .load(conn)
        .await
}

/// The lines of these parts, in no order that means anything.
pub async fn reversal_lines(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<ReversalLineRow>> {
    lines::table
        .filter(lines::reversal_id.eq_any(ids))
        .order((lines::reversal_id, lines::variant_id))
        .select(ReversalLineRow::as_select())
        .load(conn)
        .await
}

/// The accepted parts of an order whose stock or money is not back.
pub async fn open_reversals_of(conn: &mut AsyncPgConnection, order: OrderId) -> QueryResult<Vec<ReversalRow>> {
    reversals::table
        .filter(reversals::order_id.eq(order.uuid()))
        .filter(reversals::status.eq(ReversalStatus::Accepted.as_str()))
        .filter(reversals::done_at.is_null())
        .order(reversals::id)
        .select(ReversalRow::as_select())
        .load(conn)
        .await
}

/// The accepted parts of an order whose refund failed, and was not asked for again since.
pub async fn failed_refunds_of(conn: &mut AsyncPgConnection, order: OrderId) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Failed {
        #[diesel(sql_type = SqlUuid)]
        id: Uuid,
    }
    let failed: Vec<Failed> = prepared(
        sql_query(
            "SELECT f.id FROM order_refunds f JOIN order_reversals r ON r.id = coalesce(f.part_id, f.id) \
             WHERE f.order_id = $1 AND f.status = 'failed' AND r.done_at IS NOT NULL AND NOT EXISTS ( \
                SELECT FROM order_refunds n WHERE n.part_id = r.id AND n.attempt > f.attempt) ORDER BY f.id",
        )
        .bind::<SqlUuid, _>(order.uuid()),
    )
    .load(conn)
    .await?;
    Ok(failed.into_iter().map(|failed| failed.id).collect())
}
