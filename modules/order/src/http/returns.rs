//! Returns of an order: asked for, read, decided.

use std::sync::Arc;

use actix_web::{get, post, web};
use eshopz_kernel::{Money, OrderId, Page};
use eshopz_platform::http::params::page_limit;
use eshopz_platform::http::{Admin, Answer, Body, Caller, OptionalBody, PathId, Problem, Query, Reply};
use eshopz_platform::idempotency::{self, Claim, IdempotencyKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::items::{ItemQuantity, quantities};
use super::read::PartQuery;
use super::return_view::ReturnView;
use super::{staff, viewer};
use crate::domain::{Verdict, storable, visible_words};
use crate::error::OrderError;
use crate::service::{DecideReturn, OrderRef, OrderService, RequestReturn, refund_minor};
use crate::store::OrderRow;

/// What is to come back, and why.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestReturn)]
pub struct RequestReturnBody {
    #[validate(length(min = 1, max = 1000), nested)]
    #[schema(min_items = 1, max_items = 1000)]
    items: Vec<ItemQuantity>,
    #[validate(length(max = 500), custom(function = storable))]
    #[schema(pattern = "<text>", max_length = 500, examples("A button is loose."))]
    reason: Option<String>,
}

/// On what terms a return is taken.
#[derive(Debug, Default, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptReturn {
    /// Whether the things are for sale again.
    #[serde(default)]
    #[schema(default = true, examples(true))]
    restock: Option<bool>,
    /// All that was paid for them, when left out.
    #[schema(examples(json!(null)))]
    refund_amount: Option<Money>,
    /// For the timeline.
    #[validate(length(max = 500), custom(function = storable))]
    #[schema(pattern = "<text>", max_length = 500, examples("Button sewn on again."))]
    note: Option<String>,
}

/// Why a return is not taken.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectReturn {
    #[validate(length(max = 500), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 500, examples("Worn."))]
    reason: String,
}

/// Ask for a return.
///
/// As its owner, as the guest with its token, or as an admin, once the order is delivered. What is in a return
/// can be in no other, unless it is rejected.
#[utoipa::path(
    tag = "order",
    params(
        ("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"),
        ("Idempotency-Key" = String, Header, description = "New for each intent; 1 to 255 visible ASCII characters.",
         min_length = 1, max_length = 255, pattern = "<visible>", example = "return-1"),
    ),
    request_body = RequestReturnBody,
    responses(
        (status = 201, body = ReturnView, description = "Asked for; an admin decides.",
         headers(("location" = String, description = "The return's path."), ("etag" = String, description = "Its version."))),
        (status = 404, body = Problem, description = "The order does not exist, or it is not yours."),
        (status = 409, body = Problem, description = "`order_not_delivered`; `exceeds_ordered`: more than is left of \
            a line, see `lines`; `idempotency_in_progress`."),
        (status = 428, body = Problem, description = "`idempotency_key_required`."),
    ),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[post("/{id}/returns")]
pub async fn create_order_return(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    key: Answer<IdempotencyKey>,
    body: Answer<Body<RequestReturnBody>>,
) -> Answer {
    let (service, viewer) = (service.into_inner(), viewer(&caller));
    let (order, actor) = service.visible(&name.0, &viewer).await?;
    let (key, Body(body)) = (key?, body?);
    let scope = viewer.scope().ok_or(OrderError::NotFound("order"))?;
    let claim = Claim::new(scope, key, "create_order_return", &(order.id, &body))?;
    let items = quantities(&body.items);
    let command = RequestReturn { order: order.order_id(), actor, items, reason: body.reason };
    let worker = Arc::clone(&service);
    let work = move |claim, resumed| request(worker, order, command, claim, resumed);
    idempotency::once(&service.db, &service.in_flight, claim, work).await
}

/// An attempt that was interrupted had its effect under the id that it recorded.
async fn request(
    service: Arc<OrderService>,
    order: OrderRow,
    command: RequestReturn,
    claim: Claim,
    resumed: Option<Uuid>,
) -> Answer {
    let id = match resumed {
        Some(id) => id,
        None => service.request_return(&command, &claim).await?,
    };
    let details = service.return_of(order.order_id(), id).await?;
    let (version, path) = (details.part.version, format!("/api/v1/orders/{}/returns/{id}", order.id));
    Ok(Reply::created(path, &ReturnView::of(&order, details))?.etag(version))
}

/// List an order's returns.
///
/// The first one first. For the owner, the guest with its token, and admins.
#[utoipa::path(
    tag = "order",
    params(("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"), PartQuery),
    responses((status = 200, body = Page<ReturnView>, description = "A page of returns.")),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[get("/{id}/returns")]
pub async fn list_order_returns(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    query: Query<PartQuery>,
) -> Answer {
    let (order, _) = service.visible(&name.0, &viewer(&caller)).await?;
    let limit = page_limit(query.0.limit);
    let page = service.returns(order.order_id(), query.0.cursor.as_deref(), limit).await?;
    let items = page.items.into_iter().map(|details| ReturnView::of(&order, details)).collect();
    Ok(Reply::ok(&Page { items, next_cursor: page.next_cursor })?)
}

/// Look at a return.
#[utoipa::path(
    tag = "order",
    params(
        ("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"),
        ("return_id" = Uuid, Path, description = "The return's id."),
    ),
    responses(
        (status = 200, body = ReturnView, description = "The return.",
         headers(("etag" = String, description = "For `If-None-Match`."))),
        (status = 304, description = "It is as `If-None-Match` has it."),
    ),
    security((), ("bearer" = []), ("order_token" = [])),
)]
#[get("/{id}/returns/{return_id}")]
pub async fn get_order_return(
    service: web::Data<OrderService>,
    caller: Caller,
    name: PathId<OrderRef>,
    id: PathId<Uuid, 1>,
) -> Answer {
    let (order, _) = service.visible(&name.0, &viewer(&caller)).await?;
    shown(&service, &order, id.0).await
}

/// Accept a return.
///
/// Admin. Its things are for sale again, unless `restock` is false, and what was paid for them goes back, or the
/// `refund_amount`. The same decision again changes nothing.
#[utoipa::path(
    tag = "order",
    params(
        ("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"),
        ("return_id" = Uuid, Path, description = "The return's id."),
    ),
    request_body(content = Option<AcceptReturn>, description = "May be left out."),
    responses(
        (status = 200, body = ReturnView, description = "Accepted; `refunded` once the money is back."),
        (status = 409, body = Problem, description = "`return_decided`: it was rejected, or accepted on other terms; \
            `refund_exceeds_worth`: more than was paid for the things, see `worth`."),
    ),
    security(("bearer" = [])),
)]
#[post("/{id}/returns/{return_id}/accept")]
pub async fn accept_order_return(
    service: web::Data<OrderService>,
    caller: Admin,
    name: PathId<OrderRef>,
    id: PathId<Uuid, 1>,
    body: OptionalBody<AcceptReturn>,
) -> Answer {
    let (viewer, actor) = staff(&caller);
    let (order, _) = service.visible(&name.0, &viewer).await?;
    let AcceptReturn { restock, refund_amount, note } = body.0;
    let refund = refund_minor(&order, refund_amount)?;
    let verdict = Verdict::Accept { restock: restock.unwrap_or(true), refund };
    service.decide_return(&DecideReturn { order: order.order_id(), id: id.0, actor, verdict, note }).await?;
    shown(&service, &order, id.0).await
}

/// Reject a return.
///
/// Admin. What was in it can be asked for again. The same decision again changes nothing.
#[utoipa::path(
    tag = "order",
    params(
        ("id" = String, Path, description = "The order's id, or its number.", pattern = "<order>"),
        ("return_id" = Uuid, Path, description = "The return's id."),
    ),
    request_body = RejectReturn,
    responses(
        (status = 200, body = ReturnView, description = "Rejected."),
        (status = 409, body = Problem, description = "`return_decided`: it was accepted."),
    ),
    security(("bearer" = [])),
)]
#[post("/{id}/returns/{return_id}/reject")]
pub async fn reject_order_return(
    service: web::Data<OrderService>,
    caller: Admin,
    name: PathId<OrderRef>,
    id: PathId<Uuid, 1>,
    body: Body<RejectReturn>,
) -> Answer {
    let (viewer, actor) = staff(&caller);
    let (order, _) = service.visible(&name.0, &viewer).await?;
    let (verdict, note) = (Verdict::Reject, Some(body.0.reason));
    service.decide_return(&DecideReturn { order: order.order_id(), id: id.0, actor, verdict, note }).await?;
    shown(&service, &order, id.0).await
}

async fn shown(service: &OrderService, order: &OrderRow, id: Uuid) -> Answer {
    let details = service.return_of(OrderId(order.id), id).await?;
    let version = details.part.version;
    Ok(Reply::ok(&ReturnView::of(order, details))?.etag(version))
}
