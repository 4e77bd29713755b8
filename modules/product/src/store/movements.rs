//! The ledger, newest entries first.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::rows::Movement;
use crate::schema::stock_movements;

/// A variant's movements before a position.
pub async fn of_variant(
    conn: &mut AsyncPgConnection,
    variant: Uuid,
    before: Option<(DateTime<Utc>, Uuid)>,
    limit: i64,
) -> QueryResult<Vec<Movement>> {
    let mut query = stock_movements::table
        .filter(stock_movements::variant_id.eq(variant))
        .order((stock_movements::created_at.desc(), stock_movements::id.desc()))
        .limit(limit)
        .select(Movement::as_select())
        .into_boxed();
    if let Some((at, id)) = before {
        query = query.filter(
            stock_movements::created_at.lt(at).or(stock_movements::created_at.eq(at).and(stock_movements::id.lt(id))),
        );
    }
    query.load(conn).await
}
