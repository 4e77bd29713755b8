//! What is done to an order: cancelled by its owner, taken on by staff.

use actix_web::{post, web};
use eshopz_platform::http::{Admin, Answer, Body, Caller, OptionalBody, PathId, Problem};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::viewer;
use super::views::OrderView;
use crate::domain::{Actor, OrderStatus, Tracking, Viewer, storable};
use crate::service::{OrderRef, OrderService};

/// Why an order is cancelled.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields, from = "Option<Given>")]
pub struct CancelOrder {
    #[validate(length(max = 500), custom(function = storable))]
    #[schema(max_length = 500, examples("Ordered the wrong size."))]
    reason: Option<String>,
}

/// The same on the wire, where it may also be `null`: the document says that the body is optional.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    reason: Option<String>,
}

impl From<Option<Given>> for CancelOrder {
    fn from(given: Option<Given>) -> Self {
        Self { reason: given.and_then(|given| given.reason) }
    }
}

/// Where to take an order.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransitionOrder {
    /// `processing`, `shipped` or `delivered`.
    #[schema(examples("shipped"))]
    to: OrderStatus,
    /// How to follow the parcel.
    #[validate(nested)]
    tracking: Option<Tracking>,
}

/// Cancel an order.
///
/// As its owner, as the guest with its token, or as an admin, until it is shipped. Its stock is free
/// again and the payment is voided or refunded. Cancelling twice changes nothing.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number.")),
    request_body(content = Option<CancelOrder>, description = "May be left out."),
    responses(
        (status = 200, body = OrderView, description = "Cancelled."),
        (status = 409, body = Problem, description = "`invalid_transition`: it is shipped; see `allowed`."),
    ),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[post("/{id}/cancel")]
pub async fn cancel_order(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    body: OptionalBody<CancelOrder>,
) -> Answer {
    let (order, actor) = service.visible(&name.0, &viewer(&caller)).await?;
    let cancelled = service.cancel(order.order_id(), actor, body.0.reason.as_deref()).await?;
    Ok(OrderView::reply(service.detail(cancelled).await?)?)
}

/// Take an order on.
///
/// Admin. From `paid` to `processing`, `shipped` and `delivered`; `processing` may be passed over. An
/// order that is there already stays as it is.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number.")),
    request_body(content = TransitionOrder, example = json!({
        "to": "shipped",
        "tracking": {
            "carrier": "DHL", "number": "JD014600003888", "url": "https://www.dhl.com/track?id=JD014600003888"
        }
    })),
    responses(
        (status = 200, body = OrderView, description = "In its new state."),
        (status = 409, body = Problem, description = "`invalid_transition`: there is no such way; see `allowed`."),
    ),
    security(("bearer" = [])),
)]
#[post("/{id}/transitions")]
pub async fn transition_order(
    service: web::Data<OrderService>,
    caller: Admin,
    name: PathId<OrderRef>,
    body: Body<TransitionOrder>,
) -> Answer {
    let user = caller.0.user_id;
    let viewer = Viewer { user: Some(user), admin: true, token_hash: None };
    let (order, _) = service.visible(&name.0, &viewer).await?;
    let moved = service.advance(order.order_id(), body.0.to, body.0.tracking, Actor::Admin(user)).await?;
    Ok(OrderView::reply(service.detail(moved).await?)?)
}
