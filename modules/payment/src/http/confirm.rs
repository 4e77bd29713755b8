//! Paying.

use actix_web::{post, web};
use eshopz_kernel::PaymentId;
use eshopz_platform::http::{Answer, Body, Caller, PathId, Problem, Reply};
use eshopz_platform::idempotency::{Claim, IdempotencyKey, once};
use uuid::Uuid;

use super::views::{ConfirmPayment, PaymentView};
use crate::error::PaymentError;
use crate::service::{Access, PaymentService};

/// Pay
///
/// Tries to pay with a method of the gateway. After a 402 it may be tried again, with another
/// `Idempotency-Key`. `processing` means that the gateway has not answered in time: read the payment again.
/// In the sandbox `pm_card_visa` and `pm_card_mastercard` succeed, `pm_card_chargeDeclined` and
/// `pm_card_chargeDeclinedInsufficientFunds` are declined, `pm_card_authenticationRequired` requires an action.
#[utoipa::path(
    tag = "payment",
    params(
        ("id" = Uuid, Path, description = "The payment's id."),
        ("Idempotency-Key" = String, Header, description = "New for each intent.",
            min_length = 1, max_length = 255, pattern = "<visible>", example = "confirm-1"),
    ),
    request_body = ConfirmPayment,
    responses(
        (status = 200, body = PaymentView,
            description = "`succeeded`, `authorized`, `requires_action` with `next_action`, or `processing`."),
        (status = 402, body = Problem, description = "Declined, under the gateway's reason: `card_declined`, \
            `insufficient_funds`, `expired_card`, `incorrect_cvc`, `incorrect_number`, `card_velocity_exceeded`, \
            `authentication_failed`, `processing_error`, `gateway_timeout`. May be tried again."),
        (status = 403, body = Problem, description = "`forbidden`: an admin who is not the payer."),
        (status = 409, body = Problem, description = "`payment_in_progress`: an attempt is on its way; \
            `payment_not_confirmable`: it is cancelled or failed for good; `idempotency_in_progress`."),
        (status = 422, body = Problem, description = "`validation_failed`, with `unknown_payment_method` for a \
            method that the gateway does not know; `idempotency_key_reused`."),
        (status = 428, body = Problem, description = "`idempotency_key_required`."),
        (status = 503, body = Problem, description = "`gateway_unavailable`: nothing was collected; repeat it."),
    ),
    security((), ("bearer" = []), ("order_token" = []))
)]
#[post("/{id}/confirm")]
pub async fn confirm_payment(
    service: web::Data<PaymentService>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
    key: Answer<IdempotencyKey>,
    body: Answer<Body<ConfirmPayment>>,
) -> Answer {
    let (_, access) = service.visible(id, &caller).await?;
    let Access::Payer { scope } = access else { return Err(PaymentError::NotThePayer.into()) };
    let (key, Body(body)) = (key?, body?);
    let claim = Claim::new(scope, key, "confirm_payment", &(id, &body))?;
    let (db, in_flight) = (service.db.clone(), service.in_flight.clone());
    once(&db, &in_flight, claim, move |claim, begun| async move {
        confirm(&service, id, &body.payment_method, &claim, begun).await
    })
    .await
}

async fn confirm(service: &PaymentService, id: PaymentId, method: &str, claim: &Claim, begun: Option<Uuid>) -> Answer {
    let payment = match begun {
        Some(attempt) => service.resume_confirm(id, method, claim, attempt).await?,
        None => service.confirm(id, method, Some(claim)).await?,
    };
    Ok(Reply::ok(&PaymentView::from(&payment))?.etag(payment.version))
}
