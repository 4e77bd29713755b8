//! `/api/v1/payments/audit-log`.

use actix_web::{get, web};
use eshopz_kernel::Page;
use eshopz_platform::audit::{self, AuditEntry, AuditQuery};
use eshopz_platform::http::{Admin, Answer, Query, Reply};

use crate::service::PaymentService;

/// Read the audit log of payments
///
/// Admin. Who captured and who refunded. Newest first.
#[utoipa::path(
    tag = "payment",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>, description = "A page of entries.")),
    security(("bearer" = []))
)]
#[get("/audit-log")]
pub async fn list_payment_audit_log(
    service: web::Data<PaymentService>,
    _: Admin,
    Query(query): Query<AuditQuery>,
) -> Answer {
    Ok(Reply::ok(&audit::page(&service.db, &query).await?)?)
}
