//! Statements on what came back of reservations. The order's reservation is locked.

use std::collections::BTreeMap;

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::schema::reservation_returns as returns;

/// Whether this giving back was done before.
pub async fn is_done(conn: &mut AsyncPgConnection, order: Uuid, id: Uuid) -> QueryResult<bool> {
    diesel::select(exists(returns::table.filter(returns::order_id.eq(order)).filter(returns::id.eq(id))))
        .single(conn)
        .await
}

/// All that an order gave back so far, by variant.
pub async fn given_back(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<BTreeMap<Uuid, i64>> {
    let parts: Vec<(Uuid, i64)> = returns::table
        .filter(returns::order_id.eq(order))
        .select((returns::variant_id, returns::quantity))
        .load(conn)
        .await?;
    let mut sums = BTreeMap::new();
    for (variant, quantity) in parts {
        let sum: &mut i64 = sums.entry(variant).or_default();
        *sum = sum.saturating_add(quantity);
    }
    Ok(sums)
}

/// Takes these lines from what the order holds, which is as much at least. The stock is locked: what was
/// `sold` is put back with movements, and of what was not, less is reserved.
pub async fn give_back(
    conn: &mut AsyncPgConnection,
    order: Uuid,
    id: Uuid,
    lines: &BTreeMap<Uuid, i64>,
    sold: bool,
) -> QueryResult<usize> {
    let (variants, quantities): (Vec<Uuid>, Vec<i64>) = lines.iter().map(|(id, quantity)| (*id, *quantity)).unzip();
    prepared(
        sql_query(
            "WITH line AS (SELECT * FROM unnest($3, $4) AS l (variant_id, quantity)), \
             written AS ( \
                INSERT INTO reservation_returns (order_id, id, variant_id, quantity, sold) \
                SELECT $1, $2, variant_id, quantity, $5 FROM line), \
             lessened AS ( \
                UPDATE reservation_lines h SET quantity = h.quantity - line.quantity FROM line \
                WHERE h.order_id = $1 AND h.variant_id = line.variant_id AND h.quantity > line.quantity), \
             emptied AS ( \
                DELETE FROM reservation_lines h USING line \
                WHERE h.order_id = $1 AND h.variant_id = line.variant_id AND h.quantity = line.quantity), \
             changed AS (UPDATE reservations SET updated_at = now() WHERE order_id = $1), \
             back AS ( \
                UPDATE stock_levels s SET on_hand = s.on_hand + CASE WHEN $5 THEN line.quantity ELSE 0 END, \
                       reserved = s.reserved - CASE WHEN $5 THEN 0 ELSE line.quantity END \
                FROM line WHERE s.variant_id = line.variant_id \
                RETURNING s.variant_id, line.quantity, s.on_hand) \
             INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor, return_id) \
             SELECT variant_id, quantity, on_hand, 'return', $1, 'order', $2 FROM back WHERE $5",
        )
        .bind::<SqlUuid, _>(order)
        .bind::<SqlUuid, _>(id)
        .bind::<Array<SqlUuid>, _>(variants)
        .bind::<Array<BigInt>, _>(quantities)
        .bind::<Bool, _>(sold),
    )
    .execute(conn)
    .await
}
