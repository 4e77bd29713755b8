//! What is done to an order: cancelled by its owner, taken on by staff.

use std::sync::Arc;

use actix_web::{post, web};
use eshopz_kernel::{FaultKind, OrderId};
use eshopz_platform::http::{Admin, Answer, Body, Caller, IfMatch, OptionalBody, PathId, Problem};
use eshopz_platform::idempotency::{self, Claim, IdempotencyKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::items::{ItemQuantity, quantities};
use super::views::OrderView;
use super::{staff, viewer};
use crate::domain::{Actor, OrderStatus, Tracking, storable};
use crate::error::OrderError;
use crate::service::{CancelOrder, OrderRef, OrderService};
use crate::store::OrderRow;

/// What is cancelled, and why.
#[derive(Debug, Default, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CancelOrder)]
pub struct CancelOrderBody {
    #[validate(length(max = 500), custom(function = storable))]
    #[schema(pattern = "<text>", max_length = 500, examples("Ordered the wrong size."))]
    reason: Option<String>,
    /// Only these, of a paid order; the whole order, when left out.
    #[validate(length(min = 1, max = 1000), nested)]
    #[schema(min_items = 1, max_items = 1000, examples(json!(null)))]
    items: Option<Vec<ItemQuantity>>,
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

/// Cancel an order, or some of its items.
///
/// As its owner, as the guest with its token, or as an admin, until it is shipped. Its stock is free
/// again and the payment is voided or refunded. Cancelling the whole order twice changes nothing.
///
/// With `items` only those are cancelled, of an order that is paid or in preparation: their stock is free again
/// and what was paid for them goes back, tax and discount included. Shipping goes back with the last of them,
/// which cancels the order. Items that are cancelled twice are twice as many, so send an `Idempotency-Key`, which
/// makes a repetition safe, or `If-Match`, which refuses it.
#[utoipa::path(
    tag = "order",
    params(
        ("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"),
        ("Idempotency-Key" = Option<String>, Header, description = "New for each intent; 1 to 255 visible ASCII \
            characters. May be left out.", min_length = 1, max_length = 255, pattern = "<visible>", example = "cancel-1"),
        ("If-Match" = Option<String>, Header, description = "Only if this is still the order's ETag."),
    ),
    request_body(content = Option<CancelOrderBody>, description = "May be left out."),
    responses(
        (status = 200, body = OrderView, description = "Cancelled; of items, the order without them."),
        (status = 409, body = Problem, description = "`invalid_transition`: it is shipped, see `allowed`; of items \
            also `order_not_paid`, and `exceeds_ordered`: more than is left of a line, see `lines`; \
            `idempotency_in_progress`."),
        (status = 412, body = Problem, description = "`etag_mismatch`: the order has changed since."),
    ),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[post("/{id}/cancel")]
pub async fn cancel_order(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    key: Answer<IdempotencyKey>,
    if_match: IfMatch,
    body: OptionalBody<CancelOrderBody>,
) -> Answer {
    let (service, viewer, body) = (service.into_inner(), viewer(&caller), body.0);
    let (order, actor) = service.visible(&name.0, &viewer).await?;
    let id = order.order_id();
    let Some(key) = if_given(key)? else {
        return cancelled(&service, service.cancel(&body.command(id, actor, if_match), None).await?).await;
    };
    let scope = viewer.scope().ok_or(OrderError::NotFound("order"))?;
    let claim = Claim::new(scope, key, "cancel_order", &(id, &body))?;
    let (worker, command) = (Arc::clone(&service), body.command(id, actor, if_match));
    let work = move |claim, resumed| cancel_once(worker, command, claim, resumed);
    idempotency::once(&service.db, &service.in_flight, claim, work).await
}

/// An attempt that was interrupted had its effect, which stands.
async fn cancel_once(service: Arc<OrderService>, command: CancelOrder, claim: Claim, resumed: Option<Uuid>) -> Answer {
    let order = match resumed {
        Some(part) => service.resume_cancel(command.order, part).await?,
        None => service.cancel(&command, Some(&claim)).await?,
    };
    cancelled(&service, order).await
}

async fn cancelled(service: &OrderService, order: OrderRow) -> Answer {
    Ok(OrderView::reply(service.detail(order).await?)?)
}

/// A key that may be left out, but not be wrong.
fn if_given(key: Answer<IdempotencyKey>) -> Answer<Option<IdempotencyKey>> {
    match key {
        Ok(key) => Ok(Some(key)),
        Err(fault) if fault.0.kind == FaultKind::PreconditionRequired => Ok(None),
        Err(fault) => Err(fault),
    }
}

impl CancelOrderBody {
    fn command(self, order: OrderId, actor: Actor, if_match: IfMatch) -> CancelOrder {
        let items = self.items.as_deref().map(quantities);
        CancelOrder { order, actor, reason: self.reason, items, if_match }
    }
}

/// Take an order on.
///
/// Admin. From `paid` to `processing`, `shipped` and `delivered`; `processing` may be passed over. An
/// order that is there already stays as it is.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>")),
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
    let (viewer, actor) = staff(&caller);
    let (order, _) = service.visible(&name.0, &viewer).await?;
    let moved = service.advance(order.order_id(), body.0.to, body.0.tracking, actor).await?;
    Ok(OrderView::reply(service.detail(moved).await?)?)
}
