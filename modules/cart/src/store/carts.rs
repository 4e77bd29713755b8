//! Statements on the carts themselves. When they end is by the database's clock: that of a process may be wrong.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::{is_one_of, prepared};
use uuid::Uuid;

use crate::domain::{Cart, CartItem, FilledCart, Status};
use crate::schema::{cart_items, carts};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The time now, not that of the transaction's beginning: it may have waited for a lock since.
    fn clock_timestamp() -> Timestamptz;
}

/// A cart to be made. One of `customer_id` and `token_hash` is set.
#[derive(Debug)]
pub struct NewCart {
    pub id: Uuid,
    pub customer_id: Option<Uuid>,
    pub token_hash: Option<Vec<u8>>,
    pub currency: String,
    /// From now on by the database's clock, in whole seconds.
    pub lifetime: TimeDelta,
}

/// A change of a cart: its version counts up, which locks it, and it lives so many seconds longer. Its end is not moved
/// for less than a hundredth of that: the index of the ends would have to be written each time.
macro_rules! touching {
    ($lifetime:literal) => {
        concat!(
            "UPDATE carts SET version = version + 1, updated_at = clock_timestamp(), expires_at = CASE \
                WHEN expires_at < clock_timestamp() + ",
            $lifetime,
            " * interval '0.99 seconds' THEN clock_timestamp() + ",
            $lifetime,
            " * interval '1 second' ELSE expires_at END "
        )
    };
}
pub(super) use touching;

/// By name: a statement of a running process outlives a migration that adds a column.
macro_rules! returning {
    () => {
        "RETURNING id, status, customer_id, token_hash, currency, version, order_id, merged_into, updated_at, expires_at"
    };
}

pub(super) use returning;

/// What makes a cart.
macro_rules! insert {
    ($more:literal) => {
        concat!(
            "INSERT INTO carts (id, customer_id, token_hash, currency, expires_at) \
             VALUES ($1, $2, $3, $4, clock_timestamp() + $5 * interval '1 second') ",
            $more,
            returning!()
        )
    };
}

async fn make(conn: &mut AsyncPgConnection, statement: &'static str, new: &NewCart) -> QueryResult<Cart> {
    prepared(
        sql_query(statement)
            .bind::<SqlUuid, _>(new.id)
            .bind::<Nullable<SqlUuid>, _>(new.customer_id)
            .bind::<Nullable<Binary>, _>(&new.token_hash)
            .bind::<Text, _>(&new.currency)
            .bind::<BigInt, _>(new.lifetime.num_seconds()),
    )
    .single(conn)
    .await
}

/// Makes a guest's cart.
pub async fn insert(conn: &mut AsyncPgConnection, new: &NewCart) -> QueryResult<Cart> {
    make(conn, insert!(""), new).await
}

/// Makes a customer's cart; if there is an open one already, that is the answer.
pub async fn insert_or_get_open(conn: &mut AsyncPgConnection, new: &NewCart) -> QueryResult<Cart> {
    let unless_open =
        insert!("ON CONFLICT (customer_id) WHERE status = 'open' DO UPDATE SET currency = carts.currency ");
    make(conn, unless_open, new).await
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
pub async fn touch(conn: &mut AsyncPgConnection, id: Uuid, lifetime: TimeDelta) -> QueryResult<Option<Cart>> {
    prepared(
        sql_query(concat!(touching!("$2"), "WHERE id = $1 ", returning!()))
            .bind::<SqlUuid, _>(id)
            .bind::<BigInt, _>(lifetime.num_seconds()),
    )
    .single(conn)
    .await
    .optional()
}

/// Locks carts, always in the order of their ids, so that two that want the same ones do not deadlock.
pub async fn lock(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> QueryResult<Vec<Cart>> {
    let locked =
        carts::table.filter(is_one_of("carts.id", ids)).order(carts::id).select(Cart::as_select()).for_update();
    prepared(locked).load(conn).await
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
    let closing = diesel::update(carts::table.find(id).filter(carts::status.eq(Status::Open))).set((
        carts::status.eq(Status::Ordered),
        carts::order_id.eq(order),
        carts::closed_at.eq(clock_timestamp().nullable()),
    ));
    prepared(closing).execute(conn).await
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

/// Removes guests' carts that were closed so long ago, at most `batch` of them.
pub async fn delete_abandoned_guests(
    conn: &mut AsyncPgConnection,
    closed_for: TimeDelta,
    batch: i64,
) -> QueryResult<usize> {
    prepared(
        sql_query(
            "DELETE FROM carts WHERE id IN ( \
                SELECT id FROM carts WHERE status = 'abandoned' AND customer_id IS NULL \
                AND closed_at < now() - $1 * interval '1 second' \
                ORDER BY closed_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<BigInt, _>(closed_for.num_seconds())
        .bind::<BigInt, _>(batch),
    )
    .execute(conn)
    .await
}
