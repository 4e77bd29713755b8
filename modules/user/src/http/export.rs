//! `/api/v1/users/me/export`.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, get};
use chrono::{DateTime, Utc};
use eshopz_kernel::SessionId;
use eshopz_platform::audit::AuditEntry;
use eshopz_platform::http::{Answer, Problem, SignedIn};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Service;
use super::views::{AddressView, SessionView, UserView};
use crate::service::export::Export;

/// All that the shop holds on a person: `user`, and what each of the other modules holds, under its name.
#[derive(Serialize, ToSchema)]
#[schema(as = PersonalData)]
pub struct ExportView {
    /// When it was gathered.
    pub at: DateTime<Utc>,
    pub user: AccountDataView,
    /// `cart` with its `carts`, `order` with its `orders`, `payment` with its `payments`. Amounts are minor units of
    /// the `currency` beside them.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub elsewhere: Map<String, Value>,
}

/// What belongs to the account itself.
#[derive(Serialize, ToSchema)]
#[schema(as = AccountData)]
pub struct AccountDataView {
    pub profile: UserView,
    pub addresses: Vec<AddressView>,
    /// Those that have ended too, as long as they are kept.
    pub sessions: Vec<SessionView>,
    /// What was done as this account and is in the audit log, the latest first.
    pub audit_log: Vec<AuditEntry>,
}

impl ExportView {
    fn of(export: Export, current: SessionId) -> Self {
        let Export { account, addresses, sessions, noted, elsewhere } = export;
        let user = AccountDataView {
            profile: UserView::from(&account),
            addresses: addresses.into_iter().map(AddressView::from).collect(),
            sessions: sessions.into_iter().map(|session| SessionView::new(session, current)).collect(),
            audit_log: noted,
        };
        Self { at: Utc::now(), user, elsewhere }
    }
}

/// Download what the shop holds on you.
///
/// Your profile, addresses, sessions, carts, orders and payments, as one file. It is gathered while you wait; when that
/// takes too long, ask again: what has been gathered by then is kept for an hour.
#[utoipa::path(
    tag = "user",
    responses(
        (status = 200, body = ExportView, description = "All of it, as a file to be saved"),
        (status = 429, body = Problem, description = "`rate_limited`: asked for too often"),
        (status = 503, body = Problem, description = "`unavailable`: not all of it is there yet; ask again"),
    ),
    security(("bearer" = [])),
)]
#[get("/me/export")]
pub async fn export_profile(service: Service, SignedIn(principal): SignedIn) -> Answer<HttpResponse> {
    let export = service.export(principal.user_id).await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"personal-data.json\""),
    ));
    answer.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
    Ok(answer.json(ExportView::of(export, principal.session_id)))
}
