//! A customer's payments, whole, as they are handed out to him.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::personal::Exported;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

/// The payments after the one with the id `after`, up to `limit`.
pub async fn exported(
    conn: &mut AsyncPgConnection,
    customer: Uuid,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Exported>> {
    let query = sql_query(
        "SELECT p.id, jsonb_build_object( \
            'id', p.id, 'order_id', p.order_id, 'currency', p.currency, 'amount', p.amount_minor, \
            'captured_amount', p.captured_minor, 'refunded_amount', p.refunded_minor, 'status', p.status, \
            'gateway', p.gateway, 'gateway_reference', p.gateway_reference, 'method', p.method, \
            'failure_code', p.failure_code, 'failure_message', p.failure_message, 'undo_reason', p.undo_reason, \
            'created_at', p.created_at, 'updated_at', p.updated_at, \
            'transactions', coalesce((SELECT jsonb_agg( \
                    to_jsonb(t) - '{payment_id,tries,due_at}'::text[] ORDER BY t.created_at, t.id) \
                FROM transactions t WHERE t.payment_id = p.id), '[]')) AS document \
         FROM payments p WHERE p.customer_id = $1 AND p.id > $2 ORDER BY p.id LIMIT $3",
    )
    .bind::<SqlUuid, _>(customer)
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit);
    prepared(query).load(conn).await
}
