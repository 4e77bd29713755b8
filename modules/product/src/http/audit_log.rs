//! `/api/v1/products/audit-log`.

use actix_web::{get, web};
use eshopz_kernel::Page;
use eshopz_platform::audit::{self, AuditEntry, AuditQuery};
use eshopz_platform::http::{Admin, Answer, Query, Reply};

use crate::service::ProductService;

/// Read the audit log of the catalogue
///
/// Admin. Who changed products, variants, categories and stock, and who imported them. Newest first.
#[utoipa::path(
    tag = "product",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>, description = "A page of entries.")),
    security(("bearer" = []))
)]
#[get("/audit-log")]
pub async fn list_product_audit_log(
    service: web::Data<ProductService>,
    _: Admin,
    Query(query): Query<AuditQuery>,
) -> Answer {
    Ok(Reply::ok(&audit::page(&service.db, &query).await?)?)
}
