//! Statements on reservations. A reservation that is there is locked first, then the stock in the order of
//! the variants' ids; a new one is written once its stock is locked. So no two ever wait for each other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::prepared;
use uuid::Uuid;

use crate::domain::ReservationState;
use crate::schema::{reservation_lines, reservations};

/// Begins a reservation; false when the order has one already.
pub async fn begin(conn: &mut AsyncPgConnection, order: Uuid, expires_at: DateTime<Utc>) -> QueryResult<bool> {
    let begun = prepared(
        sql_query(
            "INSERT INTO reservations (order_id, state, expires_at) VALUES ($1, 'held', $2) ON CONFLICT DO NOTHING",
        )
        .bind::<SqlUuid, _>(order)
        .bind::<Timestamptz, _>(expires_at),
    )
    .execute(conn)
    .await?;
    Ok(begun == 1)
}

/// Reserves an order's lines for the first time, all or none: the whole of it in one statement, which is a transaction
/// of its own. Returns whose variants they are; nothing is done, and nothing returned, when the order has a reservation
/// or too little is there of one. An order that has one is left alone from the beginning: its
/// reservation is to be locked before the stock.
pub async fn hold_at_once(
    conn: &mut AsyncPgConnection,
    order: Uuid,
    lines: &BTreeMap<Uuid, i64>,
    expires_at: DateTime<Utc>,
) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Held {
        #[diesel(sql_type = SqlUuid)]
        product_id: Uuid,
    }
    let (variants, quantities): (Vec<Uuid>, Vec<i64>) = lines.iter().map(|(id, quantity)| (*id, *quantity)).unzip();
    // The arrays are behind a `SELECT` for the reason of `prepared::is_one_of`. What is written comes from the rows as
    // they were locked: PostgreSQL checks a row as it follows from the one at the statement's beginning first.
    let held: Vec<Held> = prepared(
        sql_query(
            "WITH line AS ( \
                SELECT * FROM unnest((SELECT $2::uuid[]), (SELECT $3::bigint[])) AS l (variant_id, quantity) \
                WHERE NOT EXISTS (SELECT FROM reservations WHERE order_id = $1)), \
             stock AS ( \
                SELECT s.variant_id, s.on_hand, s.reserved, s.backorder, line.quantity \
                FROM stock_levels s JOIN line USING (variant_id) ORDER BY s.variant_id FOR UPDATE OF s), \
             begun AS ( \
                INSERT INTO reservations (order_id, state, expires_at) SELECT $1, 'held', $4 \
                WHERE (SELECT count(*) FROM stock WHERE backorder OR on_hand - reserved >= quantity) \
                    = cardinality($2::uuid[]) \
                ON CONFLICT DO NOTHING RETURNING order_id), \
             counted AS ( \
                UPDATE stock_levels s SET reserved = stock.reserved + stock.quantity, on_hand = stock.on_hand, \
                    backorder = stock.backorder \
                FROM stock WHERE s.variant_id = stock.variant_id AND EXISTS (SELECT FROM begun)), \
             written AS ( \
                INSERT INTO reservation_lines (order_id, variant_id, quantity) \
                SELECT order_id, variant_id, quantity FROM begun CROSS JOIN line) \
             SELECT v.product_id FROM begun CROSS JOIN line JOIN variants v ON v.id = line.variant_id",
        )
        .bind::<SqlUuid, _>(order)
        .bind::<Array<SqlUuid>, _>(variants)
        .bind::<Array<BigInt>, _>(quantities)
        .bind::<Timestamptz, _>(expires_at),
    )
    .load(conn)
    .await?;
    Ok(held.into_iter().map(|held| held.product_id).collect())
}

/// Sells what an order holds: the whole of it in one statement, which is a transaction of its own. False when it holds
/// nothing, or somebody else is at its reservation or has changed it just now; nothing is done then.
///
/// A statement sees the tables as they were when it began, so it must not wait for a lock on what the lines depend on:
/// who changes these writes the reservation's row, whose `xmin` is then another than at the beginning.
pub async fn sell_at_once(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<bool> {
    let sold = prepared(
        sql_query(
            "WITH mine AS ( \
                SELECT order_id FROM reservations WHERE order_id = $1 AND state = 'held' \
                AND xmin = (SELECT xmin FROM reservations WHERE order_id = $1) FOR UPDATE SKIP LOCKED), \
             line AS (SELECT variant_id, quantity FROM reservation_lines JOIN mine USING (order_id)), \
             stock AS ( \
                SELECT s.variant_id, s.on_hand, s.reserved, s.backorder, line.quantity \
                FROM stock_levels s JOIN line USING (variant_id) ORDER BY s.variant_id FOR UPDATE OF s), \
             taken AS ( \
                UPDATE stock_levels s SET on_hand = stock.on_hand - stock.quantity, \
                    reserved = stock.reserved - stock.quantity, backorder = stock.backorder \
                FROM stock WHERE s.variant_id = stock.variant_id AND (SELECT count(*) FROM stock) > 0 \
                RETURNING s.variant_id, stock.quantity, s.on_hand), \
             written AS ( \
                INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor) \
                SELECT variant_id, -quantity, on_hand, 'sale', $1, 'order' FROM taken) \
             UPDATE reservations r SET state = 'sold', updated_at = now() FROM mine \
             WHERE r.order_id = mine.order_id AND (SELECT count(*) FROM stock) >= 0",
        )
        .bind::<SqlUuid, _>(order),
    )
    .execute(conn)
    .await?;
    Ok(sold == 1)
}

/// Locks an order's reservation and says where it stands.
pub async fn lock(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<Option<ReservationState>> {
    reservations::table.find(order).for_update().select(reservations::state).first(conn).await.optional()
}

/// What an order reserved, by variant.
pub async fn lines(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<BTreeMap<Uuid, i64>> {
    let lines: Vec<(Uuid, i64)> = reservation_lines::table
        .filter(reservation_lines::order_id.eq(order))
        .select((reservation_lines::variant_id, reservation_lines::quantity))
        .load(conn)
        .await?;
    Ok(lines.into_iter().collect())
}

/// Forgets what an order reserved once, to reserve anew.
pub async fn drop_lines(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<usize> {
    diesel::delete(reservation_lines::table.filter(reservation_lines::order_id.eq(order))).execute(conn).await
}

/// Counts the lines in the stock, which is locked, and writes them down.
pub async fn hold(conn: &mut AsyncPgConnection, order: Uuid, lines: &BTreeMap<Uuid, i64>) -> QueryResult<usize> {
    let (variants, quantities): (Vec<Uuid>, Vec<i64>) = lines.iter().map(|(id, quantity)| (*id, *quantity)).unzip();
    prepared(
        sql_query(
            "WITH line AS (SELECT * FROM unnest($2, $3) AS l (variant_id, quantity)), \
             held AS ( \
                UPDATE stock_levels s SET reserved = s.reserved + line.quantity FROM line \
                WHERE s.variant_id = line.variant_id) \
             INSERT INTO reservation_lines (order_id, variant_id, quantity) SELECT $1, variant_id, quantity FROM line",
        )
        .bind::<SqlUuid, _>(order)
        .bind::<Array<SqlUuid>, _>(variants)
        .bind::<Array<BigInt>, _>(quantities),
    )
    .execute(conn)
    .await
}

/// Says where a reservation stands now, and until when.
pub async fn set_held(conn: &mut AsyncPgConnection, order: Uuid, expires_at: DateTime<Utc>) -> QueryResult<usize> {
    diesel::update(reservations::table.find(order))
        .set((
            reservations::state.eq(ReservationState::Held),
            reservations::expires_at.eq(expires_at),
            reservations::updated_at.eq(now),
        ))
        .execute(conn)
        .await
}

/// Sells an order's lines from the stock, which is locked: `on_hand` falls, and `reserved` with it if
/// the lines were held, and the ledger has it.
pub async fn sell(conn: &mut AsyncPgConnection, order: Uuid, held: bool) -> QueryResult<usize> {
    prepared(
        sql_query(
            "WITH sold AS ( \
                UPDATE stock_levels s SET on_hand = s.on_hand - l.quantity, \
                       reserved = s.reserved - CASE WHEN $2 THEN l.quantity ELSE 0 END \
                FROM reservation_lines l WHERE l.order_id = $1 AND s.variant_id = l.variant_id \
                RETURNING s.variant_id, l.quantity, s.on_hand), \
             written AS ( \
                INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor) \
                SELECT variant_id, -quantity, on_hand, 'sale', $1, 'order' FROM sold) \
             UPDATE reservations SET state = 'sold', updated_at = now() WHERE order_id = $1",
        )
        .bind::<SqlUuid, _>(order)
        .bind::<Bool, _>(held),
    )
    .execute(conn)
    .await
}

/// Puts an order's sold lines back into the stock, which is locked, with movements.
pub async fn put_back(conn: &mut AsyncPgConnection, order: Uuid) -> QueryResult<usize> {
    prepared(
        sql_query(
            "WITH back AS ( \
                UPDATE stock_levels s SET on_hand = s.on_hand + l.quantity \
                FROM reservation_lines l WHERE l.order_id = $1 AND s.variant_id = l.variant_id \
                RETURNING s.variant_id, l.quantity, s.on_hand), \
             written AS ( \
                INSERT INTO stock_movements (variant_id, delta, on_hand_after, kind, order_id, actor) \
                SELECT variant_id, quantity, on_hand, 'return', $1, 'order' FROM back) \
             UPDATE reservations SET state = 'released', updated_at = now() WHERE order_id = $1",
        )
        .bind::<SqlUuid, _>(order),
    )
    .execute(conn)
    .await
}

/// Locks the stock that these orders hold, in the order of the variants' ids; whose variants they are,
/// some perhaps more than once.
pub async fn lock_stock(conn: &mut AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Locked {
        #[diesel(sql_type = Nullable<SqlUuid>)]
        product_id: Option<Uuid>,
    }
    let locked: Vec<Locked> = prepared(
        sql_query(
            "SELECT (SELECT v.product_id FROM variants v WHERE v.id = s.variant_id) AS product_id FROM stock_levels s \
             WHERE s.variant_id IN (SELECT variant_id FROM reservation_lines WHERE order_id = ANY($1)) \
             ORDER BY s.variant_id FOR UPDATE",
        )
        .bind::<Array<SqlUuid>, _>(orders),
    )
    .load(conn)
    .await?;
    Ok(locked.into_iter().filter_map(|locked| locked.product_id).collect())
}

/// Frees what these orders hold. Their reservations and the stock are locked.
pub async fn free(conn: &mut AsyncPgConnection, orders: &[Uuid]) -> QueryResult<usize> {
    prepared(
        sql_query(
            "WITH line AS ( \
                SELECT variant_id, sum(quantity)::bigint AS quantity FROM reservation_lines \
                WHERE order_id = ANY($1) GROUP BY variant_id), \
             freed AS ( \
                UPDATE stock_levels s SET reserved = s.reserved - line.quantity FROM line \
                WHERE s.variant_id = line.variant_id) \
             UPDATE reservations SET state = 'released', updated_at = now() WHERE order_id = ANY($1)",
        )
        .bind::<Array<SqlUuid>, _>(orders),
    )
    .execute(conn)
    .await
}

/// Locks reservations that are held past their deadline, oldest first, passing over those that
/// somebody else works on.
pub async fn lock_due(conn: &mut AsyncPgConnection, limit: i64) -> QueryResult<Vec<Uuid>> {
    #[derive(QueryableByName)]
    struct Due {
        #[diesel(sql_type = SqlUuid)]
        order_id: Uuid,
    }
    let due: Vec<Due> = prepared(
        sql_query(
            "SELECT order_id FROM reservations WHERE state = 'held' AND expires_at <= now() \
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        )
        .bind::<BigInt, _>(limit),
    )
    .load(conn)
    .await?;
    Ok(due.into_iter().map(|due| due.order_id).collect())
}
