//! `/api/v1/orders/audit-log`.

use actix_web::{get, web};
use eshopz_kernel::Page;
use eshopz_platform::audit::{self, AuditEntry, AuditQuery};
use eshopz_platform::http::{Admin, Answer, Query, Reply};

use crate::service::OrderService;

/// Read the audit log of orders
///
/// Admin. Who cancelled orders or took them on, and who decided about returns. Newest first.
#[utoipa::path(
    tag = "order",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>, description = "A page of entries.")),
    security(("bearer" = []))
)]
#[get("/audit-log")]
pub async fn list_order_audit_log(
    service: web::Data<OrderService>,
    _: Admin,
    Query(query): Query<AuditQuery>,
) -> Answer {
    Ok(Reply::ok(&audit::page(&service.db, &query).await?)?)
}
