//! Lists of orders by keyset.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{OrderRow, Position};
use crate::domain::OrderStatus;
use crate::schema::orders;

diesel::define_sql_function!(fn lower(text: Text) -> Text);

/// How a list of orders is sorted; the newest come first unless asked otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum OrderSort {
    #[default]
    #[serde(rename = "-placed_at")]
    Newest,
    #[serde(rename = "placed_at")]
    Oldest,
}

/// Which orders a list has.
#[derive(Clone, Debug, Default)]
pub struct OrderFilter {
    pub customer: Option<Uuid>,
    /// Whatever the case of its letters.
    pub email: Option<String>,
    /// Any of these; all when empty.
    pub status: Vec<OrderStatus>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
    pub sort: OrderSort,
    pub after: Option<Position>,
}

/// Up to `limit` orders that come after the filter's position.
pub async fn list(conn: &mut AsyncPgConnection, filter: &OrderFilter, limit: i64) -> QueryResult<Vec<OrderRow>> {
    let mut query = orders::table.select(OrderRow::as_select()).limit(limit).into_boxed();
    if let Some(customer) = filter.customer {
        query = query.filter(orders::customer_id.eq(customer));
    }
    if let Some(email) = &filter.email {
        query = query.filter(lower(orders::email).eq(lower(email)));
    }
    if !filter.status.is_empty() {
        query = query.filter(orders::status.eq_any(filter.status.iter().map(|status| status.as_str())));
    }
    if let Some(from) = filter.from {
        query = query.filter(orders::placed_at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(orders::placed_at.lt(to));
    }
    query = match filter.sort {
        OrderSort::Newest => query.order((orders::placed_at.desc(), orders::id.desc())),
        OrderSort::Oldest => query.order((orders::placed_at.asc(), orders::id.asc())),
    };
    if let Some(Position { at, id }) = filter.after {
        query = match filter.sort {
            OrderSort::Newest => {
                query.filter(orders::placed_at.le(at).and(orders::placed_at.lt(at).or(orders::id.lt(id))))
            }
            OrderSort::Oldest => {
                query.filter(orders::placed_at.ge(at).and(orders::placed_at.gt(at).or(orders::id.gt(id))))
            }
        };
    }
    query.load(conn).await
}
