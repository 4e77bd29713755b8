//! `orders`, a row at a time.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::{CartId, OrderId};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;

use super::{OrderRow, StatusChange};
use crate::schema::orders;

/// The order with this id.
pub async fn by_id(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<OrderRow>> {
    orders::table.find(id.uuid()).select(OrderRow::as_select()).first(conn).await.optional()
}

/// The order with this number, as in `EZ-100042`.
pub async fn by_number(conn: &mut AsyncPgConnection, number: &str) -> QueryResult<Option<OrderRow>> {
    orders::table.filter(orders::number.eq(number)).select(OrderRow::as_select()).first(conn).await.optional()
}

/// The order that this cart made.
pub async fn by_cart(conn: &mut AsyncPgConnection, cart: CartId) -> QueryResult<Option<OrderRow>> {
    orders::table.filter(orders::cart_id.eq(cart.uuid())).select(OrderRow::as_select()).first(conn).await.optional()
}

/// The order, nobody else's to change until the end of the transaction.
pub async fn lock(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<OrderRow>> {
    orders::table.find(id.uuid()).select(OrderRow::as_select()).for_update().first(conn).await.optional()
}

/// The same, but nothing when somebody is changing it just now.
pub async fn lock_if_free(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<OrderRow>> {
    orders::table.find(id.uuid()).select(OrderRow::as_select()).for_update().skip_locked().first(conn).await.optional()
}

/// Notes that somebody is about to sell an order's stock, if it is unpaid: from then on a cancellation knows that
/// what it gives back may be sold behind it. Of those who began half a minute ago nobody is at it any more.
pub async fn begin_sale(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<bool> {
    let begun = prepared(
        sql_query(
            "UPDATE orders SET selling_at = now(), \
                sellers = CASE WHEN selling_at >= now() - interval '30 seconds' THEN sellers ELSE 0 END + 1 \
             WHERE id = $1 AND status = 'pending_payment'",
        )
        .bind::<SqlUuid, _>(id.uuid()),
    );
    Ok(begun.execute(conn).await? == 1)
}

/// Notes that a sale has come to its end, one or the other. Another may be under way.
pub async fn end_sale(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE orders SET sellers = greatest(sellers - 1, 0), \
                selling_at = CASE WHEN sellers > 1 THEN selling_at END \
             WHERE id = $1 AND selling_at IS NOT NULL",
        )
        .bind::<SqlUuid, _>(id.uuid()),
    )
    .execute(conn)
    .await
}

/// Changes the state of a locked order. The jobs begin anew with it.
pub async fn change(conn: &mut AsyncPgConnection, id: OrderId, change: &StatusChange) -> QueryResult<OrderRow> {
    let changing = diesel::update(orders::table.find(id.uuid()))
        .set((
            change,
            orders::version.eq(orders::version + 1),
            orders::tries.eq(0),
            orders::try_at.eq(None::<DateTime<Utc>>),
        ))
        .returning(OrderRow::as_returning());
    prepared(changing).single(conn).await
}

/// Changes what is told of a locked order but its state; parts worth so much were taken back.
pub async fn touch(conn: &mut AsyncPgConnection, id: OrderId, worth: i64, at: DateTime<Utc>) -> QueryResult<OrderRow> {
    diesel::update(orders::table.find(id.uuid()))
        .set((
            orders::version.eq(orders::version + 1),
            orders::updated_at.eq(at),
            orders::reversed_minor.eq(orders::reversed_minor + worth),
        ))
        .returning(OrderRow::as_returning())
        .single(conn)
        .await
}

/// Notes that payment and cart of the order are settled. Nothing that is shown changes.
pub async fn set_finished(conn: &mut AsyncPgConnection, id: OrderId, at: DateTime<Utc>) -> QueryResult<usize> {
    let finishing = diesel::update(orders::table.find(id.uuid()).filter(orders::finished_at.is_null()))
        .set(orders::finished_at.eq(at));
    prepared(finishing).execute(conn).await
}

/// Notes that stock and money of a cancelled order are back; not while somebody may be selling its stock, who would
/// have to give it back and could die before. No sale takes half a minute.
pub async fn set_undone(conn: &mut AsyncPgConnection, id: OrderId, at: DateTime<Utc>) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE orders SET undone_at = $2 WHERE id = $1 AND cancelled_at IS NOT NULL AND undone_at IS NULL \
                AND (selling_at IS NULL OR selling_at < now() - interval '30 seconds')",
        )
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Timestamptz, _>(at),
    )
    .execute(conn)
    .await
}
