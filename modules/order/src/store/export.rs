//! A person's orders, whole, as they are handed out to him.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::personal::Exported;
use eshopz_platform::prepared::prepared;
use eshopz_user_api::ExportRequested;
use uuid::Uuid;

use super::forget::orders_of_person;

/// A person's orders after the one with the id `after`, up to `limit`.
pub async fn exported(
    conn: &mut AsyncPgConnection,
    request: &ExportRequested,
    after: Uuid,
    limit: i64,
) -> QueryResult<Vec<Exported>> {
    let query = sql_query(concat!(
        "SELECT o.id, jsonb_build_object( \
            'id', o.id, 'number', o.number, 'status', o.status, 'email', o.email, 'currency', o.currency, \
            'totals', jsonb_build_object('subtotal', o.subtotal_minor, 'discount', o.discount_minor, \
                'shipping', o.shipping_minor, 'tax', o.tax_minor, 'total', o.total_minor), \
            'shipping_address', o.shipping_address, 'billing_address', o.billing_address, 'tracking', o.tracking, \
            'cancel_reason', o.cancel_reason, 'payment_id', o.payment_id, 'cart_id', o.cart_id, \
            'placed_at', o.placed_at, 'updated_at', o.updated_at, 'cancelled_at', o.cancelled_at, \
            'items', coalesce((SELECT jsonb_agg(to_jsonb(l) - 'order_id' ORDER BY l.position) \
                FROM order_lines l WHERE l.order_id = o.id), '[]'), \
            'timeline', coalesce((SELECT jsonb_agg(to_jsonb(t) - '{id,order_id}'::text[] ORDER BY t.id) \
                FROM order_timeline t WHERE t.order_id = o.id), '[]'), \
            'returns', coalesce((SELECT jsonb_agg(to_jsonb(r) - '{order_id,tries,try_at}'::text[] || jsonb_build_object( \
                    'items', (SELECT jsonb_agg(to_jsonb(i) - 'reversal_id') FROM order_reversal_lines i \
                              WHERE i.reversal_id = r.id)) ORDER BY r.id) \
                FROM order_reversals r WHERE r.order_id = o.id), '[]'), \
            'refunds', coalesce((SELECT jsonb_agg(to_jsonb(f) - '{order_id,tries,try_at}'::text[] ORDER BY f.id) \
                FROM order_refunds f WHERE f.order_id = o.id), '[]')) AS document \
         FROM orders o WHERE ",
        orders_of_person!(),
        " AND o.id > $3 ORDER BY o.id LIMIT $4"
    ))
    .bind::<SqlUuid, _>(request.user_id.uuid())
    .bind::<Nullable<Text>, _>(request.email_hash.as_deref())
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(limit);
    prepared(query).load(conn).await
}
