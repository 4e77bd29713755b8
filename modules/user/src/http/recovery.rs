//! `/api/v1/auth`: what is done with tokens that come by mail.

use actix_web::post;
use eshopz_platform::http::{Answer, Body, Problem, Reply};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use super::fields::trimmed;
use crate::service::Device;

/// Whose password is forgotten.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordResetRequest {
    #[serde(deserialize_with = "trimmed")]
    #[validate(email, length(max = 254), custom(function = "super::fields::one_line"))]
    #[schema(examples("ann@example.com"), format = Email, max_length = 254)]
    email: String,
}

/// The token from the letter, and the password to come.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordReset {
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200))]
    #[schema(examples("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), min_length = 1, max_length = 200)]
    token: String,
    /// 10 to 128 characters, and none of the commonest.
    #[validate(length(min = 10, max = 128), custom(function = "super::fields::uncommon_password"))]
    #[schema(examples("battery staple correct"), format = Password, min_length = 10, max_length = 128)]
    new_password: String,
}

/// The token from the letter.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailVerification {
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 200))]
    #[schema(examples("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), min_length = 1, max_length = 200)]
    token: String,
}

/// That a request was taken.
#[derive(Serialize, ToSchema)]
pub struct PasswordResetAccepted {
    #[schema(examples("If there is an account with this email, a letter is on its way."))]
    message: &'static str,
}

/// Ask for a new password.
///
/// The answer is the same whether there is such an account or not. The letter has a token that is good
/// for 30 minutes.
#[utoipa::path(
    tag = "user",
    request_body = PasswordResetRequest,
    responses(
        (status = 202, body = PasswordResetAccepted, description = "A letter is on its way, if there is an account"),
        (status = 429, body = Problem, description = "`rate_limited`: asked for too often; see `Retry-After`"),
    ),
    security(()),
)]
#[post("/password-reset")]
pub async fn request_password_reset(
    service: Service,
    device: Device,
    Body(body): Body<PasswordResetRequest>,
) -> Answer {
    service.request_password_reset(&body.email, &device).await?;
    Ok(Reply::accepted(&PasswordResetAccepted {
        message: "If there is an account with this email, a letter is on its way.",
    })?)
}

/// Choose a new password.
///
/// Ends every session of the account.
#[utoipa::path(
    tag = "user",
    request_body = PasswordReset,
    responses(
        (status = 204, description = "The new password holds"),
        (status = 422, body = Problem, description = "`invalid_or_expired_token`: the token is wrong, used or \
            expired; `validation_failed`"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong tokens; see `Retry-After`"),
    ),
    security(()),
)]
#[post("/password-reset/confirm")]
pub async fn confirm_password_reset(service: Service, device: Device, Body(body): Body<PasswordReset>) -> Answer {
    service.reset_password(&body.token, body.new_password, &device).await?;
    Ok(Reply::no_content())
}

/// Confirm an email address.
#[utoipa::path(
    tag = "user",
    request_body = EmailVerification,
    responses(
        (status = 204, description = "The email is confirmed"),
        (status = 422, body = Problem, description = "`invalid_or_expired_token`: the token is wrong, used or \
            expired; `validation_failed`"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong tokens; see `Retry-After`"),
    ),
    security(()),
)]
#[post("/verify-email")]
pub async fn verify_email(service: Service, device: Device, Body(body): Body<EmailVerification>) -> Answer {
    service.verify_email(&body.token, &device).await?;
    Ok(Reply::no_content())
}
