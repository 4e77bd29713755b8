//! What gateways send.

use actix_web::{HttpRequest, post, web};
use eshopz_kernel::Fault;
use eshopz_platform::http::body::{JSON_LIMIT, read};
use eshopz_platform::http::{Answer, Problem, Reply};
use serde_json::{Value, json};

use crate::service::PaymentService;

/// Take a gateway's event in
///
/// For the gateway. The body is checked against its signature, stored, and then applied; in any order, any
/// number of times. The sandbox signs as Stripe does: `Sandbox-Signature: t=<seconds since 1970>,v1=<hex of
/// HMAC-SHA-256 over "t.body">`, good for five minutes.
#[utoipa::path(
    tag = "payment",
    params(
        ("gateway" = String, Path, description = "The gateway's name.", example = "sandbox"),
        ("Sandbox-Signature" = Option<String>, Header, description = "The signature, for the sandbox."),
    ),
    request_body(content = Object, content_type = "application/json", description = "An event of the gateway."),
    responses(
        (status = 200, body = Object, description = "Stored; it need not be sent again."),
        (status = 400, body = Problem, description = "`invalid_signature`; `malformed_event`."),
        (status = 404, body = Problem, description = "`not_found`: this gateway is not in use."),
    ),
    security(())
)]
#[post("/webhooks/{gateway}")]
pub async fn receive_gateway_webhook(
    service: web::Data<PaymentService>,
    gateway: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let bytes = read(&request, payload.into_inner(), JSON_LIMIT).await?;
    let body = std::str::from_utf8(&bytes)
        .map_err(|error| Fault::malformed("malformed_event", "The body is not UTF-8.").caused_by(error))?;
    service.receive(&gateway, request.headers(), body).await?;
    let received: Value = json!({"received": true});
    Ok(Reply::ok(&received)?)
}
