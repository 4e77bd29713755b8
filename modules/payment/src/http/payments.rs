//! Reading payments.

use actix_web::{get, web};
use eshopz_kernel::{Page, PaymentId, Role};
use eshopz_platform::http::params::page_limit;
use eshopz_platform::http::{Answer, Caller, PathId, Problem, Query, Reply, SignedIn};

use super::views::{ListPayments, PaymentSort, PaymentView};
use crate::service::{PaymentQuery, PaymentService};
use crate::store::lists::PaymentFilter;

/// List payments
///
/// One's own, newest first; admins see all.
#[utoipa::path(
    tag = "payment",
    params(ListPayments),
    responses((status = 200, body = Page<PaymentView>, description = "A page of payments.")),
    security(("bearer" = []))
)]
#[get("")]
pub async fn list_payments(
    service: web::Data<PaymentService>,
    SignedIn(principal): SignedIn,
    query: Answer<Query<ListPayments>>,
) -> Answer {
    let Query(query) = query?;
    let own = (principal.role != Role::Admin).then_some(principal.user_id);
    let filter = PaymentFilter {
        customer_id: own.or(query.customer_id).map(|id| id.uuid()),
        order_id: query.order_id.map(|id| id.uuid()),
        status: query.status.map(Into::into),
        newest_first: query.sort == PaymentSort::NewestFirst,
    };
    let page = service.list(PaymentQuery { filter, cursor: query.cursor, limit: page_limit(query.limit) }).await?;
    Ok(Reply::ok(&Page { items: views(&page.items), next_cursor: page.next_cursor })?)
}

fn views(rows: &[crate::store::Payment]) -> Vec<PaymentView> {
    rows.iter().map(PaymentView::from).collect()
}

/// Read a payment
///
/// For its payer (the account, or a guest with the order's token) and admins.
#[utoipa::path(
    tag = "payment",
    params(("id" = Uuid, Path, description = "The payment's id.")),
    responses(
        (status = 200, body = PaymentView, description = "The payment."),
        (status = 304, description = "`If-None-Match` names this version."),
        (status = 404, body = Problem, description = "`not_found`: there is none, or it is not yours."),
    ),
    security((), ("bearer" = []), ("order_token" = []))
)]
#[get("/{id}")]
pub async fn get_payment(service: web::Data<PaymentService>, caller: Caller, PathId(id): PathId<PaymentId>) -> Answer {
    let (payment, _) = service.visible(id, &caller).await?;
    Ok(Reply::ok(&PaymentView::from(&payment))?.etag(payment.version))
}
