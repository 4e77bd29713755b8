//! `POST /orders`.

use std::sync::Arc;

use actix_web::{post, web};
use eshopz_kernel::{CartId, Money, OrderId, email};
use eshopz_platform::http::{Answer, Body, Caller, HttpFault, Problem, Reply};
use eshopz_platform::idempotency::{self, Claim, IdempotencyKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use validator::Validate;

use super::views::OrderView;
use crate::domain::{Buyer, PostalAddress, an_email, visible_words};
use crate::error::OrderError;
use crate::service::{OrderService, PlaceOrder, Placed};

/// An order to be placed.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlaceOrder)]
pub struct PlaceOrderBody {
    /// Yours: by account, or by `X-Cart-Token`.
    cart_id: CartId,
    /// Required of guests; an account has its own.
    #[validate(length(max = 254), custom(function = an_email))]
    #[schema(format = Email, max_length = 254, examples("ada@example.com"))]
    email: Option<String>,
    #[validate(nested)]
    shipping_address: PostalAddress,
    /// The shipping address, when left out.
    #[validate(nested)]
    billing_address: Option<PostalAddress>,
    /// A payment method of the gateway: the order is paid in the same call.
    #[validate(length(max = 255), custom(function = visible_words))]
    #[schema(pattern = "<words>", max_length = 255, examples("pm_card_visa"))]
    payment_method: Option<String>,
    /// What the buyer was shown. Another total is refused, and nothing is ordered.
    #[schema(examples(json!(null)))]
    expected_total: Option<Money>,
}

/// Place an order.
///
/// Makes an order of a cart: prices it afresh, reserves the stock, closes the cart, and with
/// `payment_method` pays for it. One cart makes one order: once there is one, it is answered again with
/// 200, under whatever key, if email and addresses are the same. An unpaid order is cancelled by itself after a while.
///
/// A guest's answer has the `token` that opens the order from then on. When the payment is declined the
/// order stands all the same; the problem has it as `order`, and another method can be tried at
/// `POST /payments/{id}/confirm`.
#[utoipa::path(
    tag = "order",
    request_body(content = PlaceOrderBody, example = json!({
        "cart_id": "0197c0de-0000-7000-8000-000000000001",
        "email": "ada@example.com",
        "shipping_address": {
            "name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH",
            "country": "GB"
        },
        "payment_method": "pm_card_visa"
    })),
    params(
        ("Idempotency-Key" = String, Header, description = "New for each intent; 1 to 255 visible ASCII characters.",
         min_length = 1, max_length = 255, pattern = "<visible>", example = "checkout-1"),
    ),
    responses(
        (status = 201, body = OrderView, description = "Placed. With `payment_method` see `payment.status`: it may \
            be `requires_action`, with `next_action`.",
         headers(("location" = String, description = "The order's path."), ("etag" = String, description = "Its version."))),
        (status = 200, body = OrderView, description = "The order that this cart has made before."),
        (status = 402, body = Problem, description = "Declined, with the gateway's reason as `code`. The order \
            stands, as `order`, and waits for another payment method."),
        (status = 404, body = Problem, description = "The cart does not exist, or it is not yours."),
        (status = 409, body = Problem, description = "`cart_empty`; `cart_changed`: the total is not \
            `expected_total`, see `total`; `cart_ordered`: the cart was ordered with another email or address, see \
            `order`; `insufficient_stock`: see `lines`; `idempotency_in_progress`."),
        (status = 428, body = Problem, description = "`idempotency_key_required`."),
    ),
    security((), ("bearer" = []), ("cart_token" = [])),
)]
#[post("")]
pub async fn place_order(
    service: web::Data<OrderService>,
    caller: Caller,
    key: IdempotencyKey,
    body: Body<PlaceOrderBody>,
) -> Answer {
    let service = service.into_inner();
    let buyer = Buyer { customer: caller.user_id(), cart_token: caller.cart_token };
    let scope = buyer.scope().ok_or(OrderError::NotFound("cart"))?;
    let claim = Claim::new(scope, key, "place_order", &body.0)?;
    let command = body.0.command(buyer);
    let (worker, guest) = (Arc::clone(&service), command.buyer.clone());
    let work = move |claim, resumed| place(worker, command, claim, resumed);
    let answer = idempotency::once(&service.db, &service.in_flight, claim, work).await;
    with_token(answer, &guest)
}

/// In an answer that is kept for repetitions, in place of a guest's token: that is nowhere stored, but as a hash.
const WITHHELD: &str = "withheld";

/// What tells of which order an answer is: itself, or its `order`.
#[derive(Deserialize)]
struct Told {
    id: Option<OrderId>,
    order: Option<Box<Told>>,
}

/// Puts the token into an answer from which it was withheld, a kept one or a new one.
fn with_token(answer: Answer, guest: &Buyer) -> Answer {
    let withheld = format!("\"token\":\"{WITHHELD}\"");
    let open = |body: &str| {
        let told: Told = serde_json::from_str(body).ok()?;
        let id = told.id.or_else(|| told.order.and_then(|order| order.id))?;
        let token = guest.guest_token(id)?;
        Some(body.replacen(&withheld, &format!("\"token\":\"{token}\""), 1))
    };
    match answer {
        Ok(reply) => Ok(reply.map_text(|body| if body.contains(&withheld) { open(body) } else { None })),
        Err(HttpFault(mut fault)) => {
            if let Some(order) = fault.detail_mut("order") {
                let id = order.get("id").and_then(|id| id.as_str()?.parse().ok());
                if let (Some(token), Some(place)) =
                    (id.and_then(|id| guest.guest_token(id)), order.get_mut("token").filter(|token| *token == WITHHELD))
                {
                    *place = token.into();
                }
            }
            Err(HttpFault(fault))
        }
    }
}

async fn place(service: Arc<OrderService>, command: PlaceOrder, claim: Claim, resumed: Option<Uuid>) -> Answer {
    let Placed { details, token, created, refused } = service.place(command, &claim, resumed).await?;
    let version = details.order.version;
    let token = token.map(|_| WITHHELD.to_owned());
    let view = OrderView { token, ..OrderView::of(details) };
    if let Some(fault) = refused {
        return Err(fault.with("order", view).into());
    }
    let reply = if created { Reply::created(format!("/api/v1/orders/{}", view.id), &view)? } else { Reply::ok(&view)? };
    Ok(reply.etag(version))
}

impl PlaceOrderBody {
    fn command(self, buyer: Buyer) -> PlaceOrder {
        PlaceOrder {
            buyer,
            cart: self.cart_id,
            // In the form of accounts' emails, by which a person's orders are found.
            email: self.email.as_deref().map(email::normalise),
            shipping_address: self.shipping_address,
            billing_address: self.billing_address,
            payment_method: self.payment_method,
            expected_total: self.expected_total,
        }
    }
}
