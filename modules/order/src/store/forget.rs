//! Taking the person out of the orders of a deleted account. `crate::personal` says which columns tell of one.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_kernel::UserId;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::customer_scope;

/// Whose orders: `$1` is the account, `$2` the hash of an email that is the person's, under which a guest may have bought.
macro_rules! orders_of_person {
    () => {
        "(o.customer_id = $1 OR (o.customer_id IS NULL AND $2::text IS NOT NULL \
            AND encode(sha256(convert_to(lower(o.email), 'UTF8')), 'hex') = $2))"
    };
}
pub(super) use orders_of_person;

#[derive(QueryableByName)]
struct Forgotten {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Makes a person's orders anonymous, and gives them, those that were so before included. What was sold, for how much and
/// to which country stays. Why the shop itself cancelled one is no person's word.
pub async fn forget_orders(
    conn: &mut AsyncPgConnection,
    user: UserId,
    email_hash: Option<&str>,
) -> QueryResult<Vec<Uuid>> {
    let forget = sql_query(concat!(
        "WITH orders_of_person AS (SELECT o.id FROM orders o WHERE ",
        orders_of_person!(),
        "), forgotten AS ( \
            UPDATE orders o SET email = 'deleted@customer.invalid', version = version + 1, updated_at = now(), \
            tracking = NULL, \
            cancel_reason = CASE WHEN EXISTS (SELECT 1 FROM order_timeline t WHERE t.order_id = o.id \
                AND t.to_status = 'cancelled' AND t.actor = 'system') THEN cancel_reason END, \
            shipping_address = jsonb_build_object('name', 'deleted', 'line1', '-', 'city', '-', \
                'postal_code', '-', 'country', shipping_address -> 'country'), \
            billing_address = jsonb_build_object('name', 'deleted', 'line1', '-', 'city', '-', \
                'postal_code', '-', 'country', billing_address -> 'country') \
            FROM orders_of_person p WHERE o.id = p.id AND (o.email <> 'deleted@customer.invalid' \
                OR o.tracking IS NOT NULL OR o.cancel_reason IS NOT NULL)) \
         SELECT id FROM orders_of_person"
    ))
    .bind::<SqlUuid, _>(user.uuid())
    .bind::<Nullable<Text>, _>(email_hash);
    let forgotten: Vec<Forgotten> = prepared(forget).load(conn).await?;
    Ok(forgotten.into_iter().map(|order| order.id).collect())
}

/// Removes what people wrote about orders.
pub async fn forget_words(conn: &mut AsyncPgConnection, orders: &[Uuid]) -> QueryResult<()> {
    for forget in [
        "UPDATE order_timeline SET reason = NULL WHERE order_id = ANY($1) AND actor <> 'system' AND reason IS NOT NULL",
        "UPDATE order_reversals SET reason = NULL, note = NULL WHERE order_id = ANY($1)",
        "UPDATE order_refunds SET reason = NULL WHERE order_id = ANY($1) AND reason IS NOT NULL",
    ] {
        prepared(sql_query(forget).bind::<Array<SqlUuid>, _>(orders)).execute(conn).await?;
    }
    Ok(())
}

/// Removes the answers that are kept for repeated requests, the person's own and those of whoever did something to the
/// orders: addresses are in them. An answer names its order.
pub async fn forget_keys(conn: &mut AsyncPgConnection, user: UserId, orders: &[Uuid]) -> QueryResult<usize> {
    let forget = sql_query(
        "DELETE FROM idempotency_keys k WHERE k.caller = $1 \
            OR EXISTS (SELECT 1 FROM unnest($2) AS o (id) WHERE position(o.id::text IN k.body) > 0)",
    )
    .bind::<Text, _>(customer_scope(user))
    .bind::<Array<SqlUuid>, _>(orders);
    prepared(forget).execute(conn).await
}
