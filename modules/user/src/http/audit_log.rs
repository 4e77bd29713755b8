//! `/api/v1/users/audit-log`.

use actix_web::get;
use eshopz_kernel::Page;
use eshopz_platform::audit::{self, AuditEntry, AuditQuery};
use eshopz_platform::http::{Admin, Answer, Query, Reply};

use super::Service;

/// Read the audit log of accounts.
///
/// Admin. Who signed in, failed to, or was signed out; what became of accounts, roles, passwords and signing keys.
/// Newest first.
#[utoipa::path(
    tag = "user",
    params(AuditQuery),
    responses((status = 200, body = Page<AuditEntry>, description = "A page of entries")),
    security(("bearer" = [])),
)]
#[get("/audit-log")]
pub async fn list_user_audit_log(service: Service, _admin: Admin, Query(query): Query<AuditQuery>) -> Answer {
    Ok(Reply::ok(&audit::page(&service.db, &query).await?)?)
}
