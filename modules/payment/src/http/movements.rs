//! Moving money that was secured, and reading what has moved.

use actix_web::{get, post, web};
use eshopz_kernel::{Page, PaymentId};
use eshopz_platform::http::params::page_limit;
use eshopz_platform::http::{Admin, Answer, Caller, OptionalBody, PathId, Problem, Query, Reply};
use eshopz_platform::idempotency::{Claim, IdempotencyKey, once};

use super::views::{CapturePayment, CreateRefund, PageParams, PaymentView, RefundView, TransactionView};
use crate::domain::TransactionKind;
use crate::service::PaymentService;

/// Collect what is held
///
/// Admin. For payments that are `authorized`: collects all that is held and was not released, or a part of it and
/// lets the rest go.
#[utoipa::path(
    tag = "payment",
    params(
        ("id" = Uuid, Path, description = "The payment's id."),
        ("Idempotency-Key" = String, Header, description = "New for each intent.",
            min_length = 1, max_length = 255, pattern = "<visible>", example = "capture-1"),
    ),
    request_body(content = CapturePayment, description = "May be left out."),
    responses(
        (status = 200, body = PaymentView, description = "The payment, `succeeded`."),
        (status = 409, body = Problem, description = "`payment_not_capturable`: it is not authorized; \
            `capture_exceeds_authorized`: more than `capturable`; `gateway_refused`; `idempotency_in_progress`."),
        (status = 428, body = Problem, description = "`idempotency_key_required`."),
        (status = 503, body = Problem, description = "`gateway_unavailable`: its answer is not known yet; repeat \
            the request with the same key."),
    ),
    security(("bearer" = []))
)]
#[post("/{id}/capture")]
pub async fn capture_payment(
    service: web::Data<PaymentService>,
    Admin(admin): Admin,
    PathId(id): PathId<PaymentId>,
    key: Answer<IdempotencyKey>,
    body: Answer<OptionalBody<CapturePayment>>,
) -> Answer {
    let (key, OptionalBody(body)) = (key?, body?);
    let claim = Claim::new(format!("user:{}", admin.user_id), key, "capture_payment", &(id, &body))?;
    let (db, in_flight) = (service.db.clone(), service.in_flight.clone());
    once(&db, &in_flight, claim, move |claim, begun| async move {
        let payment = match begun {
            Some(capture) => service.resume_capture(id, capture).await?,
            None => service.capture(id, body.amount, &claim).await?,
        };
        Ok(Reply::ok(&PaymentView::from(&payment))?.etag(payment.version))
    })
    .await
}

/// Refund
///
/// Admin. Gives back what was collected, in part or, without an amount, all that is left.
#[utoipa::path(
    tag = "payment",
    params(
        ("id" = Uuid, Path, description = "The payment's id."),
        ("Idempotency-Key" = String, Header, description = "New for each intent.",
            min_length = 1, max_length = 255, pattern = "<visible>", example = "refund-1"),
    ),
    request_body(content = CreateRefund, description = "May be left out."),
    responses(
        (status = 201, body = RefundView, description = "The refund; `pending` until the gateway has answered."),
        (status = 409, body = Problem, description = "`refund_exceeds_captured`: more than `refundable`; \
            `idempotency_in_progress`."),
        (status = 428, body = Problem, description = "`idempotency_key_required`."),
    ),
    security(("bearer" = []))
)]
#[post("/{id}/refunds")]
pub async fn create_payment_refund(
    service: web::Data<PaymentService>,
    Admin(admin): Admin,
    PathId(id): PathId<PaymentId>,
    key: Answer<IdempotencyKey>,
    body: Answer<OptionalBody<CreateRefund>>,
) -> Answer {
    let (key, OptionalBody(body)) = (key?, body?);
    let claim = Claim::new(format!("user:{}", admin.user_id), key, "create_payment_refund", &(id, &body))?;
    let (db, in_flight) = (service.db.clone(), service.in_flight.clone());
    once(&db, &in_flight, claim, move |claim, begun| async move {
        let refund = match begun {
            Some(refund) => service.resume_refund(id, refund).await?,
            None => service.refund(id, body.amount, body.reason.as_deref(), &claim).await?,
        };
        Ok(Reply::created(format!("/api/v1/payments/{id}/refunds"), &RefundView::from(&refund))?)
    })
    .await
}

/// List a payment's refunds
///
/// From the first one on. For the payer and admins.
#[utoipa::path(
    tag = "payment",
    params(("id" = Uuid, Path, description = "The payment's id."), PageParams),
    responses(
        (status = 200, body = Page<RefundView>, description = "A page of refunds."),
        (status = 404, body = Problem, description = "`not_found`: there is no such payment, or it is not yours."),
    ),
    security((), ("bearer" = []), ("order_token" = []))
)]
#[get("/{id}/refunds")]
pub async fn list_payment_refunds(
    service: web::Data<PaymentService>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
    query: Answer<Query<PageParams>>,
) -> Answer {
    let (payment, _) = service.visible(id, &caller).await?;
    let Query(query) = query?;
    let (cursor, limit) = (query.cursor.as_deref(), page_limit(query.limit));
    let page = service.ledger(&payment, Some(TransactionKind::Refund), cursor, limit).await?;
    let items: Vec<RefundView> = page.items.iter().map(RefundView::from).collect();
    Ok(Reply::ok(&Page { items, next_cursor: page.next_cursor })?)
}

/// List a payment's transactions
///
/// Every attempt, capture, refund, void, release and return, with the gateway's reference, from the first one
/// on. For the payer and admins.
#[utoipa::path(
    tag = "payment",
    params(("id" = Uuid, Path, description = "The payment's id."), PageParams),
    responses(
        (status = 200, body = Page<TransactionView>, description = "A page of transactions."),
        (status = 404, body = Problem, description = "`not_found`: there is no such payment, or it is not yours."),
    ),
    security((), ("bearer" = []), ("order_token" = []))
)]
#[get("/{id}/transactions")]
pub async fn list_payment_transactions(
    service: web::Data<PaymentService>,
    caller: Caller,
    PathId(id): PathId<PaymentId>,
    query: Answer<Query<PageParams>>,
) -> Answer {
    let (payment, _) = service.visible(id, &caller).await?;
    let Query(query) = query?;
    let (cursor, limit) = (query.cursor.as_deref(), page_limit(query.limit));
    let page = service.ledger(&payment, None, cursor, limit).await?;
    let items: Vec<TransactionView> = page.items.iter().map(TransactionView::from).collect();
    Ok(Reply::ok(&Page { items, next_cursor: page.next_cursor })?)
}
