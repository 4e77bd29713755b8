//! `/api/v1/users/me/sessions`: the devices on which an account is signed in.

use actix_web::{delete, get};
use eshopz_kernel::{Page, SessionId};
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Answer, PathId, Query, Reply, SignedIn};
use serde::Deserialize;
use utoipa::IntoParams;
use validator::Validate;

use super::Service;
use super::views::SessionView;

/// Which page of a list.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Entries per page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 500))]
    #[param(max_length = 500)]
    pub cursor: Option<String>,
}

/// List your sessions.
///
/// Newest first.
#[utoipa::path(
    tag = "user",
    params(Paging),
    responses((status = 200, body = Page<SessionView>, description = "The devices that are signed in")),
    security(("bearer" = [])),
)]
#[get("/me/sessions")]
pub async fn list_sessions(service: Service, SignedIn(principal): SignedIn, Query(paging): Query<Paging>) -> Answer {
    let limit = page_limit(paging.limit);
    let rows = service.sessions(principal.user_id, paging.cursor.as_deref(), limit).await?;
    let current = principal.session_id;
    let page = Page::from_rows(rows, limit, |session| session.id, |session| SessionView::new(session, current));
    Ok(Reply::ok(&page)?)
}

/// Sign a device out.
#[utoipa::path(
    tag = "user",
    params(("id" = Uuid, Path, description = "The session")),
    responses((status = 204, description = "Signed out; its tokens stop working within a second")),
    security(("bearer" = [])),
)]
#[delete("/me/sessions/{id}")]
pub async fn delete_session(service: Service, SignedIn(principal): SignedIn, PathId(id): PathId<SessionId>) -> Answer {
    service.end_session(principal.user_id, id, "auth.session_revoked").await?;
    Ok(Reply::no_content())
}
