//! Statements on the stock of variants. Whoever locks several does so in the order of their ids.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::MovementKind;
use crate::domain::stock::Level;
use crate::schema::stock_levels;

/// The stock that a new variant begins with.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub variant_id: Uuid,
    pub on_hand: i64,
    pub backorder: bool,
}

/// A change of one variant's `on_hand`, as the ledger has it.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    pub variant_id: Uuid,
    pub on_hand: i64,
    pub delta: i64,
    pub kind: MovementKind,
    pub reason: Option<&'a str>,
    pub actor: &'a str,
}

/// Opens the stock of new variants, with a movement for what is on hand.
pub async fn open(conn: &mut AsyncPgConnection, new: &[Opening], actor: &str) -> QueryResult<usize> {
    let ids: Vec<Uuid> = new.iter().map(|opening| opening.variant_id).collect();
    let on_hand: Vec<i64> = new.iter().map(|opening| opening.on_hand).collect();
    let backorder: Vec<bool> = new.iter().map(|opening| opening.backorder).collect();
    prepared(
        sql_query(
            "WITH opened AS ( \
                INSERT INTO stock_levels (variant_id, on_hand, backorder) \
                SELECT * FROM unnest($1, $2, $3) RETURNING variant_id, on_hand) \
             INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, actor) \
             SELECT variant_id, on_hand, on_hand, $4, $5 FROM opened WHERE on_hand <> 0",
        )
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<BigInt>, _>(on_hand)
        .bind::<Array<Bool>, _>(backorder)
        .bind::<Text, _>(MovementKind::Set)
        .bind::<Text, _>(actor),
    )
    .execute(conn)
    .await
}

/// The stock of variants, locked, and the products that they are of.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    pub levels: BTreeMap<Uuid, Level>,
    /// Some perhaps more than once.
    pub products: Vec<Uuid>,
}

/// Locks the stock of these variants, in the order of their ids, and reads it as it is then.
pub async fn lock(conn: &mut AsyncPgConnection, variants: &[Uuid]) -> QueryResult<Locked> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = SqlUuid)]
        variant_id: Uuid,
        #[diesel(sql_type = BigInt)]
        on_hand: i64,
        #[diesel(sql_type = BigInt)]
        reserved: i64,
        #[diesel(sql_type = Bool)]
        backorder: bool,
        #[diesel(sql_type = Nullable<SqlUuid>)]
        product_id: Option<Uuid>,
    }
    let rows: Vec<Row> = prepared(
        sql_query(
            "SELECT s.variant_id, s.on_hand, s.reserved, s.backorder, \
                    (SELECT v.product_id FROM variants v WHERE v.id = s.variant_id) AS product_id \
             FROM stock_levels s WHERE s.variant_id = ANY($1) ORDER BY s.variant_id FOR UPDATE",
        )
        .bind::<Array<SqlUuid>, _>(variants),
    )
    .load(conn)
    .await?;
    let products = rows.iter().filter_map(|row| row.product_id).collect();
    let level =
        |row: Row| (row.variant_id, Level { on_hand: row.on_hand, reserved: row.reserved, backorder: row.backorder });
    Ok(Locked { levels: rows.into_iter().map(level).collect(), products })
}

/// Sets `on_hand` of a variant that is locked, and writes the movement.
pub async fn change(conn: &mut AsyncPgConnection, change: &Change<'_>) -> QueryResult<usize> {
    prepared(
        sql_query(
            "WITH changed AS (UPDATE stock_levels SET on_hand = $2 WHERE variant_id = $1 RETURNING variant_id) \
             INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, reason, actor) \
             SELECT variant_id, $3, $2, $4, $5, $6 FROM changed",
        )
        .bind::<SqlUuid, _>(change.variant_id)
        .bind::<BigInt, _>(change.on_hand)
        .bind::<BigInt, _>(change.delta)
        .bind::<Text, _>(change.kind)
        .bind::<Nullable<Text>, _>(change.reason)
        .bind::<Text, _>(change.actor),
    )
    .execute(conn)
    .await
}

/// Sets what is reserved of a variant, which is locked, to what orders hold; 0 rows when it is that already.
pub async fn count_reserved(conn: &mut AsyncPgConnection, variant: Uuid) -> QueryResult<usize> {
    prepared(
        sql_query(
            "UPDATE stock_levels s SET reserved = h.held FROM ( \
                SELECT coalesce(sum(l.quantity), 0)::bigint AS held FROM reservation_lines l \
                JOIN reservations r USING (order_id) WHERE l.variant_id = $1 AND r.state = 'held' \
             ) h WHERE s.variant_id = $1 AND s.reserved <> h.held",
        )
        .bind::<SqlUuid, _>(variant),
    )
    .execute(conn)
    .await
}

/// Says whether a variant may be sold beyond its stock. Breaks `stock_not_oversold` when it may not,
/// but was.
pub async fn set_backorder(conn: &mut AsyncPgConnection, variant: Uuid, backorder: bool) -> QueryResult<usize> {
    diesel::update(stock_levels::table.find(variant)).set(stock_levels::backorder.eq(backorder)).execute(conn).await
}
