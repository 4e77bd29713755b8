//! Statements on the lines of a cart. Those that change one answer with all of them: a `WITH` shows the
//! rows that it wrote, and the statement itself the others as they were before it, which the lock on
//! the cart keeps current. So a change costs the same number of statements whatever is in the cart.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use super::carts::{returning, touching};
use crate::domain::{Cart, CartItem, FilledCart};
use crate::schema::cart_items;

/// The lines of a cart in the order in which they were added.
pub async fn of_cart(conn: &mut AsyncPgConnection, cart: Uuid) -> QueryResult<Vec<CartItem>> {
    cart_items::table
        .filter(cart_items::cart_id.eq(cart))
        .order((cart_items::created_at, cart_items::id))
        .select(CartItem::as_select())
        .load(conn)
        .await
}

/// How many lines a cart has.
pub async fn count(conn: &mut AsyncPgConnection, cart: Uuid) -> QueryResult<i64> {
    cart_items::table.filter(cart_items::cart_id.eq(cart)).count().single(conn).await
}

/// Binds what a new line is, as $1 to $12.
macro_rules! with_line {
    ($statement:expr, $id:expr, $new:expr) => {
        $statement
            .bind::<SqlUuid, _>($id)
            .bind::<SqlUuid, _>($new.cart_id)
            .bind::<SqlUuid, _>($new.variant_id)
            .bind::<SqlUuid, _>($new.product_id)
            .bind::<Nullable<Text>, _>(&$new.sku)
            .bind::<Text, _>(&$new.title)
            .bind::<Text, _>(&$new.variant_title)
            .bind::<Nullable<Text>, _>(&$new.image_url)
            .bind::<BigInt, _>($new.quantity)
            .bind::<BigInt, _>($new.unit_price_minor)
            .bind::<Bool, _>($new.requires_shipping)
            .bind::<Bool, _>($new.taxable)
    };
}

/// Adds a line to a cart, or its quantity to the line of that variant, if the cart is open and has the version that was
/// found: all of it in one statement, which is a transaction of its own. The cart after that; nothing is done, and nothing
/// returned, when it has changed in the meantime.
pub async fn add_at_once(
    conn: &mut AsyncPgConnection,
    found: &FilledCart,
    new: &CartItem,
    lifetime: TimeDelta,
) -> QueryResult<Option<Cart>> {
    let line = found.line_of(new.variant_id);
    let statement = if line.is_some() {
        concat!(
            "WITH cart AS (",
            touching!("$14"),
            "WHERE id = $2 AND version = $13 AND status = 'open' ",
            returning!(),
            "), line AS ( \
                UPDATE cart_items SET product_id = $4, sku = $5, title = $6, variant_title = $7, image_url = $8, \
                    quantity = quantity + $9, unit_price_minor = $10, requires_shipping = $11, taxable = $12 \
                FROM cart WHERE cart_items.id = $1 AND cart_id = cart.id AND variant_id = $3) \
             SELECT * FROM cart"
        )
    } else {
        concat!(
            "WITH cart AS (",
            touching!("$14"),
            "WHERE id = $2 AND version = $13 AND status = 'open' ",
            returning!(),
            "), line AS ( \
                INSERT INTO cart_items (id, cart_id, variant_id, product_id, sku, title, variant_title, image_url, \
                    quantity, unit_price_minor, requires_shipping, taxable) \
                SELECT $1, cart.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 FROM cart) \
             SELECT * FROM cart"
        )
    };
    prepared(
        with_line!(sql_query(statement), line.map_or(new.id, |line| line.id), new)
            .bind::<BigInt, _>(found.cart.version)
            .bind::<BigInt, _>(lifetime.num_seconds()),
    )
    .single(conn)
    .await
    .optional()
}

/// Adds a line, or its quantity to the line of that variant, which then has the new copy of it.
pub async fn add(conn: &mut AsyncPgConnection, new: &CartItem) -> QueryResult<Vec<CartItem>> {
    let adding = sql_query(
        "WITH line AS ( \
                INSERT INTO cart_items AS i (id, cart_id, variant_id, product_id, sku, title, variant_title, \
                    image_url, quantity, unit_price_minor, requires_shipping, taxable) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
                ON CONFLICT (cart_id, variant_id) DO UPDATE SET \
                    quantity = i.quantity + excluded.quantity, unit_price_minor = excluded.unit_price_minor, \
                    product_id = excluded.product_id, sku = excluded.sku, title = excluded.title, \
                    variant_title = excluded.variant_title, image_url = excluded.image_url, \
                    requires_shipping = excluded.requires_shipping, taxable = excluded.taxable \
                RETURNING *) \
             SELECT * FROM line UNION ALL \
             SELECT * FROM cart_items WHERE cart_id = $2 AND variant_id <> $3 ORDER BY created_at, id",
    );
    prepared(with_line!(adding, new.id, new)).load(conn).await
}

/// Sets a line's quantity, and the copy of the price that the buyer has seen with it.
pub async fn set_quantity(
    conn: &mut AsyncPgConnection,
    cart: Uuid,
    item: Uuid,
    quantity: i64,
    unit_price_minor: i64,
) -> QueryResult<Vec<CartItem>> {
    prepared(
        sql_query(
            "WITH line AS ( \
                UPDATE cart_items SET quantity = $3, unit_price_minor = $4 WHERE cart_id = $1 AND id = $2 \
                RETURNING *) \
             SELECT * FROM line UNION ALL \
             SELECT * FROM cart_items WHERE cart_id = $1 AND id <> $2 ORDER BY created_at, id",
        )
        .bind::<SqlUuid, _>(cart)
        .bind::<SqlUuid, _>(item)
        .bind::<BigInt, _>(quantity)
        .bind::<BigInt, _>(unit_price_minor),
    )
    .load(conn)
    .await
}

/// Removes a line; how many there were.
pub async fn remove(conn: &mut AsyncPgConnection, cart: Uuid, item: Uuid) -> QueryResult<usize> {
    diesel::delete(cart_items::table.filter(cart_items::cart_id.eq(cart)).filter(cart_items::id.eq(item)))
        .execute(conn)
        .await
}

/// Removes all lines.
pub async fn remove_all(conn: &mut AsyncPgConnection, cart: Uuid) -> QueryResult<usize> {
    diesel::delete(cart_items::table.filter(cart_items::cart_id.eq(cart))).execute(conn).await
}

/// Moves the lines of one cart into another. Where both have a variant the larger quantity wins, and
/// with it the price that its buyer saw; the smaller line stays behind.
pub async fn take_over(conn: &mut AsyncPgConnection, from: Uuid, into: Uuid) -> QueryResult<usize> {
    prepared(
        sql_query(
            "WITH larger AS ( \
                UPDATE cart_items AS mine SET quantity = theirs.quantity, unit_price_minor = theirs.unit_price_minor \
                FROM cart_items AS theirs \
                WHERE mine.cart_id = $2 AND theirs.cart_id = $1 AND theirs.variant_id = mine.variant_id \
                    AND theirs.quantity > mine.quantity) \
             UPDATE cart_items AS theirs SET cart_id = $2 WHERE theirs.cart_id = $1 AND NOT EXISTS ( \
                SELECT FROM cart_items AS mine WHERE mine.cart_id = $2 AND mine.variant_id = theirs.variant_id)",
        )
        .bind::<SqlUuid, _>(from)
        .bind::<SqlUuid, _>(into),
    )
    .execute(conn)
    .await
}
