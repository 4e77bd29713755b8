//! An order with what it is of, by one statement.

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::AsyncPgConnection;
use eshopz_kernel::OrderId;
use eshopz_platform::db::Single as _;
use eshopz_platform::prepared::prepared;
use serde::de::DeserializeOwned;

use super::rows::columns;
use super::{LineRow, OrderRow, RefundRow};

/// An order, its lines, and what went back of its payment.
#[derive(Clone, Debug)]
pub struct Whole {
    pub order: OrderRow,
    pub lines: Vec<LineRow>,
    pub refunds: Vec<RefundRow>,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    order: OrderRow,
    #[diesel(sql_type = Text)]
    lines: String,
    #[diesel(sql_type = Text)]
    refunds: String,
}

/// The statement, for orders that are named by a column.
macro_rules! whole_by {
    ($column:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT coalesce(json_agg(l ORDER BY l.position), '[]')::text FROM order_lines l WHERE l.order_id = orders.id) \
                AS lines, \
               (SELECT coalesce(json_agg(r ORDER BY r.created_at, r.id), '[]')::text FROM order_refunds r \
                WHERE r.order_id = orders.id) AS refunds \
             FROM orders WHERE ",
            $column,
            " = $1"
        )
    };
}

/// The order with this id.
pub async fn whole_by_id(conn: &mut AsyncPgConnection, id: OrderId) -> QueryResult<Option<Whole>> {
    let found = prepared(sql_query(whole_by!("id")).bind::<SqlUuid, _>(id.uuid())).single(conn).await;
    put_together(found.optional()?)
}

/// The order with this number, as in `EZ-100042`.
pub async fn whole_by_number(conn: &mut AsyncPgConnection, number: &str) -> QueryResult<Option<Whole>> {
    let found = prepared(sql_query(whole_by!("number")).bind::<Text, _>(number)).single(conn).await;
    put_together(found.optional()?)
}

fn put_together(row: Option<Row>) -> QueryResult<Option<Whole>> {
    row.map(|Row { order, lines, refunds }| Ok(Whole { order, lines: rows(&lines)?, refunds: rows(&refunds)? }))
        .transpose()
}

fn rows<T: DeserializeOwned>(column: &str) -> QueryResult<Vec<T>> {
    serde_json::from_str(column).map_err(|error| diesel::result::Error::DeserializationError(error.into()))
}
