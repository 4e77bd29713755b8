//! Statements on the carts themselves.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::{Cart, CartItem, FilledCart, Status};
use crate::schema::{cart_items, carts};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The time now, not that of the transaction's beginning: it may have waited for a lock since.
    fn clock_timestamp() -> Timestamptz;
}

/// A cart to be made. One of `customer_id` and `token_hash` is set.
#[derive(Debug, Insertable)]
#[diesel(table_name = carts)]
pub struct NewCart {
    pub id: Uuid,
    pub customer_id: Option<Uuid>,
    pub token_hash: Option<Vec<u8>>,
    pub currency: String,
    pub expires_at: DateTime<Utc>,
}

/// Makes a guest's cart.
pub async fn insert(conn: &mut AsyncPgConnection, new: &NewCart) -> QueryResult<Cart> {
    diesel::insert_into(carts::table).values(new).returning(Cart::as_returning()).single(conn).await
}

/// Makes a customer's cart; if there is an open one already, that is the answer.
pub async fn insert_or_get_open(conn: &mut AsyncPgConnection, new: &NewCart) -> QueryResult<Cart> {
    diesel::insert_into(carts::table)
        .values(new)
        .on_conflict(carts::customer_id)
        .filter_target(sql::<Bool>("status = 'open'"))
        .do_update()
        .set(carts::currency.eq(carts::currency))
        .returning(Cart::as_returning())
        .single(conn)
        .await
}

/// A cart with its lines.
pub async fn filled(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<FilledCart>> {
    let rows = carts::table
        .left_join(cart_items::table)
        .filter(carts::id.eq(id))
        .order((cart_items::created_at, cart_items::id))
        .select((Cart::as_select(), Option::<CartItem>::as_select()))
        .load(conn)
        .await?;
    Ok(gather(rows))
}

/// A customer's open cart with its lines.
pub async fn open_of(conn: &mut AsyncPgConnection, customer: Uuid) -> QueryResult<Option<FilledCart>> {
    let rows = carts::table
        .left_join(cart_items::table)
        .filter(carts::customer_id.eq(customer))
        .filter(carts::status.eq(Status::Open))
        .order((cart_items::created_at, cart_items::id))
        .select((Cart::as_select(), Option::<CartItem>::as_select()))
        .load(conn)
        .await?;
    Ok(gather(rows))
}

/// The rows of one cart; an empty cart has one without a line.
fn gather(rows: Vec<(Cart, Option<CartItem>)>) -> Option<FilledCart> {
    let mut rows = rows.into_iter();
    let (cart, first) = rows.next()?;
    let items = first.into_iter().chain(rows.filter_map(|(_, item)| item)).collect();
    Some(FilledCart { cart, items })
}

/// Counts the cart's version up and moves its end, which locks it; the cart after that.
pub async fn touch(conn: &mut AsyncPgConnection, id: Uuid, expires_at: DateTime<Utc>) -> QueryResult<Option<Cart>> {
    diesel::update(carts::table.find(id))
        .set((
            carts::version.eq(carts::version + 1),
            carts::updated_at.eq(clock_timestamp()),
            carts::expires_at.eq(expires_at),
        ))
        .returning(Cart::as_returning())
        .single(conn)
        .await
        .optional()
}

/// Locks carts, always in the order of their ids, so that two that want the same ones do not deadlock.
pub async fn lock(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Cart>> {
    carts::table.filter(carts::id.eq_any(ids)).order(carts::id).select(Cart::as_select()).for_update().load(conn).await
}

/// Closes a guest's cart that another one took over.
pub async fn close_merged(conn: &mut AsyncPgConnection, id: Uuid, into: Uuid) -> QueryResult<usize> {
    diesel::update(carts::table.find(id))
        .set((
            carts::status.eq(Status::Abandoned),
            carts::merged_into.eq(into),
            carts::closed_at.eq(clock_timestamp().nullable()),
        ))
        .execute(conn)
        .await
}

/// Closes an open cart for an order. Neither version nor `updated_at` change: the lines did not.
pub async fn close_ordered(conn: &mut AsyncPgConnection, id: Uuid, order: Uuid) -> QueryResult<usize> {
    diesel::update(carts::table.find(id).filter(carts::status.eq(Status::Open)))
        .set((
            carts::status.eq(Status::Ordered),
            carts::order_id.eq(order),
            carts::closed_at.eq(clock_timestamp().nullable()),
        ))
        .execute(conn)
        .await
}

/// Removes a cart with its lines.
pub async fn delete(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<usize> {
    diesel::delete(carts::table.find(id)).execute(conn).await
}

/// Removes everything of a customer, and the guests' carts that were merged into it.
pub async fn delete_of_customer(conn: &mut AsyncPgConnection, customer: Uuid) -> QueryResult<usize> {
    diesel::delete(carts::table.filter(carts::customer_id.eq(customer))).execute(conn).await
}

/// Closes open carts whose time is up, at most `batch` of them.
pub async fn abandon_expired(conn: &mut AsyncPgConnection, batch: i64) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE carts SET status = 'abandoned', closed_at = clock_timestamp() WHERE id IN ( \
                SELECT id FROM carts WHERE status = 'open' AND expires_at < now() \
                ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<BigInt, _>(batch),
    )
    .execute(conn)
    .await
}

/// Removes guests' carts that were closed before a time, at most `batch` of them.
pub async fn delete_abandoned_guests(
    conn: &mut AsyncPgConnection,
    closed_before: DateTime<Utc>,
    batch: i64,
) -> QueryResult<usize> {
    prepared(
        sql_query(
            "DELETE FROM carts WHERE id IN ( \
                SELECT id FROM carts WHERE status = 'abandoned' AND customer_id IS NULL AND closed_at < $1 \
                ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<Timestamptz, _>(closed_before)
        .bind::<BigInt, _>(batch),
    )
    .execute(conn)
    .await
}
