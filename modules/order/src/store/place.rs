//! The two statements of a checkout: an order is placed, and it is paid. Each is a transaction of its own, with all
//! that goes along with it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::OrderId;
use eshopz_platform::db::Single as _;
use eshopz_platform::events::outbox::Entry;
use eshopz_platform::idempotency::KeyRow;
use eshopz_platform::prepared::prepared;
use eshopz_platform::{notify_relays, record_key};
use uuid::Uuid;

use super::rows::columns;
use super::{LineRow, NewOrder, OrderRow};
use crate::domain::Actor;

/// All that is written when an order is placed.
#[derive(Debug)]
pub struct Placing<'a> {
    pub key: KeyRow<'a>,
    pub order: &'a NewOrder,
    pub lines: &'a [LineRow],
    pub actor: Actor,
    /// Without the order's number, which is added.
    pub event: &'a Entry,
}

/// Places an order, by one statement; `None` when the idempotency key is taken, and nothing is written then. Waits for a
/// twin that is about to take it.
///
/// # Errors
/// A unique violation when the cart has made an order already; nothing is written.
pub async fn place(conn: &mut AsyncPgConnection, placing: &Placing<'_>) -> QueryResult<Option<OrderRow>> {
    let Placing { key, order, lines, actor, event } = placing;
    let ids = |of: fn(&LineRow) -> Uuid| lines.iter().map(of).collect::<Vec<_>>();
    let texts = |of: fn(&LineRow) -> &str| lines.iter().map(of).collect::<Vec<_>>();
    let optional = |of: fn(&LineRow) -> Option<&str>| lines.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&LineRow) -> i64| lines.iter().map(of).collect::<Vec<_>>();
    let statement = sql_query(concat!(
        "WITH key AS (",
        record_key!(),
        " RETURNING 1), \
         placed AS ( \
            INSERT INTO orders (id, cart_id, customer_id, token_hash, email, currency, subtotal_minor, discount_minor, \
                shipping_minor, tax_minor, total_minor, shipping_address, billing_address, payment_id, placed_at, \
                updated_at, selling_at, sellers) \
            SELECT $5, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, \
                CASE WHEN $21 THEN now() END, $21::int FROM key RETURNING ",
        columns!(),
        "), \
         line AS ( \
            INSERT INTO order_lines (order_id, position, variant_id, product_id, sku, title, variant_title, image_url, \
                quantity, unit_price_minor, line_total_minor, taxable) \
            SELECT placed.id, l.position, l.variant_id, l.product_id, l.sku, l.title, l.variant_title, l.image_url, \
                l.quantity, l.price, l.total, l.taxable \
            FROM placed, unnest($22::uuid[], $23::uuid[], $24::text[], $25::text[], $26::text[], $27::text[], \
                $28::bigint[], $29::bigint[], $30::bigint[], $31::boolean[]) WITH ORDINALITY \
                AS l (variant_id, product_id, sku, title, variant_title, image_url, quantity, price, total, taxable, \
                    position)), \
         entry AS ( \
            INSERT INTO order_timeline (order_id, at, to_status, event, actor, actor_id) \
            SELECT id, placed_at, status, 'placed', $32, $33 FROM placed), \
         event AS ( \
            INSERT INTO outbox (id, name, payload, traceparent) \
            SELECT $34, $35, $36 || jsonb_build_object('number', number), $37 FROM placed) \
         SELECT placed.*, ",
        notify_relays!(),
        " FROM placed"
    ))
    .bind::<Text, _>(key.caller)
    .bind::<Text, _>(key.key)
    .bind::<Text, _>(key.operation)
    .bind::<Binary, _>(key.request_hash)
    .bind::<SqlUuid, _>(key.resource)
    .bind::<Bool, _>(key.resumed)
    .bind::<SqlUuid, _>(order.cart_id)
    .bind::<Nullable<SqlUuid>, _>(order.customer_id)
    .bind::<Nullable<Text>, _>(&order.token_hash)
    .bind::<Text, _>(&order.email)
    .bind::<Text, _>(&order.currency)
    .bind::<BigInt, _>(order.subtotal_minor)
    .bind::<BigInt, _>(order.discount_minor)
    .bind::<BigInt, _>(order.shipping_minor)
    .bind::<BigInt, _>(order.tax_minor)
    .bind::<BigInt, _>(order.total_minor)
    .bind::<Jsonb, _>(&order.shipping_address)
    .bind::<Jsonb, _>(&order.billing_address)
    .bind::<SqlUuid, _>(order.payment_id)
    .bind::<Timestamptz, _>(order.placed_at)
    .bind::<Bool, _>(order.selling)
    .bind::<Array<SqlUuid>, _>(ids(|line| line.variant_id))
    .bind::<Array<SqlUuid>, _>(ids(|line| line.product_id))
    .bind::<Array<Nullable<Text>>, _>(optional(|line| line.sku.as_deref()))
    .bind::<Array<Text>, _>(texts(|line| &line.title))
    .bind::<Array<Text>, _>(texts(|line| &line.variant_title))
    .bind::<Array<Nullable<Text>>, _>(optional(|line| line.image_url.as_deref()))
    .bind::<Array<BigInt>, _>(numbers(|line| line.quantity))
    .bind::<Array<BigInt>, _>(numbers(|line| line.unit_price_minor))
    .bind::<Array<BigInt>, _>(numbers(|line| line.line_total_minor))
    .bind::<Array<Bool>, _>(lines.iter().map(|line| line.taxable).collect::<Vec<_>>())
    .bind::<Text, _>(actor.kind())
    .bind::<Nullable<SqlUuid>, _>(actor.user().map(|user| user.uuid()))
    .bind::<SqlUuid, _>(event.id)
    .bind::<Text, _>(event.name)
    .bind::<Jsonb, _>(&event.payload)
    .bind::<Nullable<Text>, _>(&event.traceparent);
    prepared(statement).single(conn).await.optional()
}

/// Notes that an unpaid order is paid, by one statement, and that who placed it has sold its stock; with `finished`, that
/// its payment exists and its cart is closed as well. `None`, and nothing is done, when it is not unpaid any more.
pub async fn pay(
    conn: &mut AsyncPgConnection,
    id: OrderId,
    at: DateTime<Utc>,
    finished: bool,
    event: &Entry,
) -> QueryResult<Option<OrderRow>> {
    prepared(
        sql_query(concat!(
            "WITH paid AS ( \
                UPDATE orders SET status = 'paid', updated_at = $2, version = version + 1, tries = 0, try_at = NULL, \
                    finished_at = coalesce(finished_at, CASE WHEN $3 THEN $2 END), sellers = greatest(sellers - 1, 0), \
                    selling_at = CASE WHEN sellers > 1 THEN selling_at END \
                WHERE id = $1 AND status = 'pending_payment' RETURNING ",
            columns!(),
            "), \
             entry AS ( \
                INSERT INTO order_timeline (order_id, at, from_status, to_status, event, actor) \
                SELECT id, $2, 'pending_payment', status, 'paid', 'system' FROM paid), \
             event AS ( \
                INSERT INTO outbox (id, name, payload, traceparent) SELECT $4, $5, $6, $7 FROM paid) \
             SELECT paid.*, ",
            notify_relays!(),
            " FROM paid"
        ))
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Timestamptz, _>(at)
        .bind::<Bool, _>(finished)
        .bind::<SqlUuid, _>(event.id)
        .bind::<Text, _>(event.name)
        .bind::<Jsonb, _>(&event.payload)
        .bind::<Nullable<Text>, _>(&event.traceparent),
    )
    .single(conn)
    .await
    .optional()
}

/// Notes that who placed an order has not sold its stock, since it was not paid; `finished` as with [`pay`], and
/// `counted` while he is among its sellers.
pub async fn leave_unpaid(
    conn: &mut AsyncPgConnection,
    id: OrderId,
    at: DateTime<Utc>,
    finished: bool,
    counted: bool,
) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE orders SET finished_at = coalesce(finished_at, CASE WHEN $3 THEN $2 END), \
                sellers = greatest(sellers - $4::int, 0), \
                selling_at = CASE WHEN sellers > $4::int THEN selling_at END \
             WHERE id = $1",
        )
        .bind::<SqlUuid, _>(id.uuid())
        .bind::<Timestamptz, _>(at)
        .bind::<Bool, _>(finished)
        .bind::<Bool, _>(counted),
    )
    .execute(conn)
    .await
}
