//! A customer's carts, whole, as they are handed out to him.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::personal::Exported;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

/// The carts after the one with the id `after`, up to `limit`.
pub async fn exported(
    conn: &mut AsyncPgConnection,
    customer: Uuid,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Exported>> {
    let query = sql_query(
        "SELECT c.id, jsonb_build_object( \
            'id', c.id, 'status', c.status, 'currency', c.currency, 'order_id', c.order_id, \
            'created_at', c.created_at, 'updated_at', c.updated_at, 'expires_at', c.expires_at, \
            'closed_at', c.closed_at, \
            'items', coalesce((SELECT jsonb_agg(to_jsonb(i) - 'cart_id' ORDER BY i.created_at, i.id) \
                FROM cart_items i WHERE i.cart_id = c.id), '[]')) AS document \
         FROM carts c WHERE c.customer_id = $1 AND c.id > $2 ORDER BY c.id LIMIT $3",
    )
    .bind::<SqlUuid, _>(customer)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit);
    prepared(query).load(conn).await
}
