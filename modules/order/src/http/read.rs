//! `GET /orders`, one of them, and its timeline.

use actix_web::{get, web};
use chrono::{DateTime, Datelike as _, Utc};
use eshopz_kernel::{Page, UserId, email};
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Answer, Caller, PathId, Problem, Query, Reply, SignedIn};
use serde::Deserialize;
use utoipa::IntoParams;
use validator::{Validate, ValidationError};

use super::viewer;
use super::views::{OrderView, TimelineEntryView};
use crate::domain::{OrderStatus, visible_words};
use crate::error::OrderError;
use crate::service::{OrderRef, OrderService, position};
use crate::store::{OrderFilter, OrderSort};

/// Which orders to list.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrderQuery {
    /// Any of these states; repeat it for several.
    #[serde(default)]
    #[param(required = false)]
    status: Vec<OrderStatus>,
    /// Placed at this time or later.
    #[validate(custom(function = storable_time))]
    #[serde(default, deserialize_with = "given")]
    from: Option<DateTime<Utc>>,
    /// Placed before this time.
    #[validate(custom(function = storable_time))]
    #[serde(default, deserialize_with = "given")]
    to: Option<DateTime<Utc>>,
    /// Admin: the buyer's email.
    #[validate(length(max = 254), custom(function = visible_words))]
    #[param(max_length = 254, pattern = "<words>")]
    email: Option<String>,
    /// Admin: the buyer's account.
    #[serde(default, deserialize_with = "given")]
    customer_id: Option<UserId>,
    /// `-placed_at` (the newest first) or `placed_at`.
    #[param(inline)]
    #[serde(default, deserialize_with = "given")]
    sort: Option<OrderSort>,
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 500))]
    #[param(max_length = 500)]
    cursor: Option<String>,
}

/// PostgreSQL's calendar ends before chrono's.
fn storable_time(time: &DateTime<Utc>) -> Result<(), ValidationError> {
    if (1..=9999).contains(&time.year()) { Ok(()) } else { Err(ValidationError::new("range")) }
}

/// A page of what belongs to one order.
#[derive(Debug, Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 500))]
    #[param(max_length = 500)]
    pub(super) cursor: Option<String>,
}

impl OrderQuery {
    fn filter(self) -> Result<OrderFilter, OrderError> {
        let sort = self.sort.unwrap_or_default();
        Ok(OrderFilter {
            customer: self.customer_id.map(|user| user.uuid()),
            // As it is kept.
            email: self.email.as_deref().map(email::normalise),
            status: self.status,
            from: self.from,
            to: self.to,
            sort,
            after: self.cursor.map(|cursor| position(&cursor, sort)).transpose()?,
        })
    }
}

/// List orders.
///
/// Your own; an admin sees everybody's.
#[utoipa::path(
    tag = "order",
    params(OrderQuery),
    responses(
        (status = 200, body = Page<OrderView>, description = "A page of orders."),
        (status = 403, body = Problem, description = "`forbidden`: `email` and `customer_id` are for admins."),
    ),
    security(("bearer" = [])),
)]
#[get("")]
pub async fn list_orders(service: web::Data<OrderService>, caller: SignedIn, query: Query<OrderQuery>) -> Answer {
    let limit = page_limit(query.0.limit);
    let admin = caller.0.role == eshopz_kernel::Role::Admin;
    let filter = OrderService::permitted(caller.0.user_id, admin, query.0.filter()?)?;
    let page = service.list(&filter, limit).await?;
    let items = page.items.into_iter().map(OrderView::of).collect();
    Ok(Reply::ok(&Page { items, next_cursor: page.next_cursor })?)
}

/// Look at an order.
///
/// By its id or its number, as its owner, as the guest with its token, or as an admin. The payment is
/// shown as it is at this moment.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number such as `EZ-100042`.", pattern = "<order>")),
    responses(
        (status = 200, body = OrderView, description = "The order.",
         headers(("etag" = String, description = "For `If-None-Match`."))),
        (status = 304, description = "It is as `If-None-Match` has it."),
    ),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[get("/{id}")]
pub async fn get_order(service: web::Data<OrderService>, caller: Caller, name: PathId<OrderRef>) -> Answer {
    Ok(OrderView::reply(service.shown(&name.0, &viewer(&caller)).await?)?)
}

/// Follow an order.
///
/// Every change of its state, every cancellation of items and every step of a return: when, what, by whom, why.
/// The first comes first.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"), PartQuery),
    responses((status = 200, body = Page<TimelineEntryView>, description = "A page of changes.")),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[get("/{id}/timeline")]
pub async fn list_order_timeline(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    query: Query<PartQuery>,
) -> Answer {
    let (order, _) = service.visible(&name.0, &viewer(&caller)).await?;
    let limit = page_limit(query.0.limit);
    let page = service.timeline(&order, query.0.cursor.as_deref(), limit).await?;
    let items = page.items.into_iter().map(TimelineEntryView::of).collect();
    Ok(Reply::ok(&Page { items, next_cursor: page.next_cursor })?)
}
