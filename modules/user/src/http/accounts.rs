//! `/api/v1/users` as admins use it.

use actix_web::{get, patch};
use eshopz_kernel::{Page, Role, UserId};
use eshopz_platform::http::params::{given, page_limit};
use eshopz_platform::http::{Admin, Answer, Body, IfMatch, PathId, Problem, Query, Reply};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::Service;
use super::fields::present;
use super::views::UserView;
use crate::service::accounts::{AccessChange, Listing, Position};
use crate::store::users::{Order, User};

/// Which accounts, and which page of them.
#[derive(Deserialize, Validate, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// Any part of the email, in any case.
    #[validate(length(min = 1, max = 254), custom(function = "super::fields::one_line"))]
    #[param(min_length = 1, max_length = 254, pattern = "<line>")]
    email: Option<String>,
    #[serde(default, deserialize_with = "given")]
    role: Option<Role>,
    /// By time of registration; newest first unless said otherwise.
    #[param(inline)]
    #[serde(default, deserialize_with = "given")]
    sort: Option<UserSort>,
    /// Entries per page.
    #[validate(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100, default = 20)]
    #[serde(default, deserialize_with = "given")]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[validate(length(max = 500))]
    #[param(max_length = 500)]
    cursor: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
pub enum UserSort {
    #[serde(rename = "created_at")]
    OldestFirst,
    #[serde(rename = "-created_at")]
    NewestFirst,
}

/// What changes; fields that are left out stay as they are.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateUser {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Role, required = false)]
    role: Option<Role>,
    /// A disabled account cannot sign in.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = bool, required = false, examples(false))]
    disabled: Option<bool>,
}

impl From<UserQuery> for Listing {
    fn from(query: UserQuery) -> Self {
        let order = match query.sort {
            Some(UserSort::OldestFirst) => Order::OldestFirst,
            Some(UserSort::NewestFirst) | None => Order::NewestFirst,
        };
        let limit = page_limit(query.limit);
        Self { email: query.email, role: query.role, order, cursor: query.cursor, limit }
    }
}

fn shown(user: &User) -> Answer {
    Ok(Reply::ok(&UserView::from(user))?.etag(user.version))
}

/// List accounts.
///
/// Admin. Deleted accounts are not among them.
#[utoipa::path(
    tag = "user",
    params(UserQuery),
    responses((status = 200, body = Page<UserView>, description = "Accounts")),
    security(("bearer" = [])),
)]
#[get("")]
pub async fn list_users(service: Service, _admin: Admin, Query(query): Query<UserQuery>) -> Answer {
    let listing = Listing::from(query);
    let rows = service.accounts(&listing).await?;
    let key = |user: &User| Position::of(user, listing.order);
    Ok(Reply::ok(&Page::from_rows(rows, listing.limit, key, |user| UserView::from(&user)))?)
}

/// An account.
///
/// Admin.
#[utoipa::path(
    tag = "user",
    params(("id" = Uuid, Path, description = "The account")),
    responses((status = 200, body = UserView, description = "The account"), (status = 304, description = "As the `If-None-Match` says")),
    security(("bearer" = [])),
)]
#[get("/{id}")]
pub async fn get_user(service: Service, _admin: Admin, PathId(id): PathId<UserId>) -> Answer {
    shown(&service.account(id).await?)
}

/// Change an account's role or access.
///
/// Admin. The account's sessions end with the change.
#[utoipa::path(
    tag = "user",
    request_body = UpdateUser,
    params(
        ("id" = Uuid, Path, description = "The account"),
        ("If-Match" = Option<String>, Header, description = "The ETag that you saw"),
    ),
    responses(
        (status = 200, body = UserView, description = "Changed"),
        (status = 409, body = Problem, description = "`last_admin`: no admin would be left who can sign in"),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since"),
    ),
    security(("bearer" = [])),
)]
#[patch("/{id}")]
pub async fn update_user(
    service: Service,
    _admin: Admin,
    PathId(id): PathId<UserId>,
    if_match: IfMatch,
    Body(body): Body<UpdateUser>,
) -> Answer {
    let change = AccessChange { role: body.role, disabled: body.disabled };
    shown(&service.change_access(id, change, &if_match).await?)
}
