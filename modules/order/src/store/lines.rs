//! `order_lines`. They are written with their order, by [`super::place`].

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use eshopz_platform::prepared::{is_one_of, prepared};
use uuid::Uuid;

use super::LineRow;
use crate::schema::order_lines;

/// The lines of these orders, each order's in their order.
pub async fn lines_of(mut conn: &AsyncPgConnection, orders: &[Uuid]) -> QueryResult<Vec<LineRow>> {
    let lines = order_lines::table
        .filter(is_one_of("order_lines.order_id", orders))
        .order((order_lines::order_id, order_lines::position))
        .select(LineRow::as_select());
    prepared(lines).load(&mut conn).await
}
