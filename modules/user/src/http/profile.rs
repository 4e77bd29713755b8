//! `/api/v1/users` as the person uses it: registration, profile, password.

use actix_web::{delete, get, patch, post, put};
use eshopz_platform::http::{Answer, Body, IfMatch, Problem, Reply, SignedIn};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use super::fields::{clearable, present_trimmed, trimmed};
use super::views::UserView;
use crate::service::Device;
use crate::service::registration::Registration;
use crate::store::users::ProfileChange;

/// A new account.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterUser {
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(max = 254), custom(function = "super::fields::new_email"))]
    #[schema(examples("ann@example.com"), format = Email, max_length = 254)]
    email: String,
    /// 10 to 128 characters, none of the commonest, and not your email or name.
    #[validate(length(min = 10, max = 128), custom(function = "super::fields::uncommon_password"))]
    #[schema(examples("correct horse battery"), format = Password, min_length = 10, max_length = 128)]
    password: String,
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(examples("Ann Example"), pattern = "<words>", min_length = 1, max_length = 200)]
    full_name: String,
}

/// What changes; fields that are left out stay as they are.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateProfile {
    #[serde(default, deserialize_with = "present_trimmed")]
    #[validate(length(min = 1, max = 200), custom(function = "super::fields::one_line"))]
    #[schema(value_type = String, required = false, examples("Ann Example"), pattern = "<words>", min_length = 1, max_length = 200)]
    full_name: Option<String>,
    /// `null` removes it.
    #[serde(default, deserialize_with = "clearable")]
    #[validate(length(max = 40), custom(function = "super::fields::phone_number"))]
    #[schema(value_type = Option<String>, required = false, examples("+1 555 0100"), pattern = "<phone>", max_length = 40)]
    phone: Option<Option<String>>,
}

/// The password as it is and as it shall be.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    #[validate(length(min = 1, max = 128))]
    #[schema(examples("correct horse battery"), format = Password, min_length = 1, max_length = 128)]
    current_password: String,
    /// 10 to 128 characters, and none of the commonest.
    #[validate(length(min = 10, max = 128), custom(function = "super::fields::uncommon_password"))]
    #[schema(examples("battery staple correct"), format = Password, min_length = 10, max_length = 128)]
    new_password: String,
}

/// Make an account.
///
/// A letter with a token to confirm the email follows. Emails that differ only in case are one.
#[utoipa::path(
    tag = "user",
    request_body = RegisterUser,
    responses(
        (status = 201, body = UserView, description = "Made"),
        (status = 409, body = Problem, description = "`email_taken`: there is an account with this email already"),
        (status = 429, body = Problem, description = "`rate_limited`: too many accounts from one address"),
    ),
    security(()),
)]
#[post("")]
pub async fn register_user(service: Service, device: Device, Body(body): Body<RegisterUser>) -> Answer {
    let RegisterUser { email, password, full_name } = body;
    let user = service.register(Registration { email, password, full_name }, &device).await?;
    Ok(Reply::created(format!("/api/v1/users/{}", user.id), &UserView::from(&user))?.etag(user.version))
}

/// Your account.
#[utoipa::path(
    tag = "user",
    responses((status = 200, body = UserView, description = "The account that is signed in"), (status = 304, description = "As the `If-None-Match` says")),
    security(("bearer" = [])),
)]
#[get("/me")]
pub async fn get_profile(service: Service, SignedIn(principal): SignedIn) -> Answer {
    let user = service.account(principal.user_id).await?;
    Ok(Reply::ok(&UserView::from(&user))?.etag(user.version))
}

/// Change your profile.
#[utoipa::path(
    tag = "user",
    request_body = UpdateProfile,
    params(("If-Match" = Option<String>, Header, description = "The ETag that you saw")),
    responses(
        (status = 200, body = UserView, description = "Changed"),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since"),
    ),
    security(("bearer" = [])),
)]
#[patch("/me")]
pub async fn update_profile(
    service: Service,
    SignedIn(principal): SignedIn,
    if_match: IfMatch,
    Body(body): Body<UpdateProfile>,
) -> Answer {
    let change = ProfileChange { full_name: body.full_name, phone: body.phone };
    let user = service.change_profile(principal.user_id, change, &if_match).await?;
    Ok(Reply::ok(&UserView::from(&user))?.etag(user.version))
}

/// Delete your account.
///
/// Name, email, phone and addresses are removed for good and every session ends; orders stay, without
/// the person.
#[utoipa::path(
    tag = "user",
    params(("If-Match" = Option<String>, Header, description = "The ETag that you saw")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, body = Problem, description = "`last_admin`: no admin would be left"),
        (status = 412, body = Problem, description = "`etag_mismatch`: it has changed since"),
    ),
    security(("bearer" = [])),
)]
#[delete("/me")]
pub async fn delete_profile(service: Service, SignedIn(principal): SignedIn, if_match: IfMatch) -> Answer {
    service.delete_account(principal.user_id, &if_match).await?;
    Ok(Reply::no_content())
}

/// Change your password.
///
/// Ends your other sessions.
#[utoipa::path(
    tag = "user",
    request_body = ChangePassword,
    responses(
        (status = 204, description = "Changed"),
        (status = 422, body = Problem, description = "`validation_failed`, with `/current_password` `incorrect` \
            when that is not the present one"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong attempts"),
    ),
    security(("bearer" = [])),
)]
#[put("/me/password")]
pub async fn change_password(
    service: Service,
    SignedIn(principal): SignedIn,
    device: Device,
    Body(body): Body<ChangePassword>,
) -> Answer {
    service.change_password(&principal, body.current_password, body.new_password, &device).await?;
    Ok(Reply::no_content())
}
