//! `/api/v1/auth`: signing in, refreshing, signing out.

use actix_web::post;
use eshopz_platform::http::{Answer, Body, Problem, Reply, SignedIn};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use super::fields::trimmed;
use super::second_factor::proof;
use super::views::TokensView;
use crate::service::Device;

/// Email and password, and a code of the second factor where the account has one.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    #[serde(deserialize_with = "trimmed")]
    #[validate(length(min = 1, max = 254), custom(function = "super::fields::one_line"))]
    #[schema(examples("ann@example.com"), pattern = "<words>", min_length = 1, max_length = 254)]
    email: String,
    #[validate(length(min = 1, max = 128))]
    #[schema(examples("correct horse battery"), format = Password, min_length = 1, max_length = 128)]
    password: String,
    /// Six digits, as the authenticator app shows them.
    #[validate(custom(function = "super::fields::six_digits"))]
    #[schema(examples("287082"), min_length = 6, max_length = 6, pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// In place of `code`, for who has lost the app; each is good once.
    #[validate(length(min = 1, max = 40))]
    #[schema(min_length = 1, max_length = 40)]
    recovery_code: Option<String>,
}

/// A refresh token.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    #[validate(length(min = 1, max = 200))]
    #[schema(examples("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), min_length = 1, max_length = 200)]
    refresh_token: String,
}

/// Sign in.
///
/// The access token goes into `Authorization: Bearer …` and is good for 15 minutes; the refresh token
/// gets the next pair. After ten failures in a quarter of an hour an account has to wait, after five wrong codes as well.
#[utoipa::path(
    tag = "user",
    request_body = SignIn,
    responses(
        (status = 200, body = TokensView, description = "Signed in"),
        (status = 401, body = Problem, description = "`invalid_credentials`: the email or the password is not right; \
            `second_factor_required`: the password is right, and a code is needed; `invalid_second_factor`"),
        (status = 429, body = Problem, description = "`rate_limited`: too many failures; see `Retry-After`"),
    ),
    security(()),
)]
#[post("/login")]
pub async fn sign_in(service: Service, device: Device, Body(body): Body<SignIn>) -> Answer {
    let proof = proof(body.code, body.recovery_code)?;
    let tokens = service.sign_in(&body.email, body.password, proof.as_ref(), &device).await?;
    Ok(Reply::ok(&TokensView::from(&tokens))?)
}

/// Refresh the tokens.
///
/// A refresh token is good once. If it comes a second time, somebody has a copy, and the session ends.
#[utoipa::path(
    tag = "user",
    request_body = Refresh,
    responses(
        (status = 200, body = TokensView, description = "New tokens; the old refresh token is spent"),
        (status = 401, body = Problem, description = "`invalid_refresh_token`: unknown, expired or revoked; \
            `refresh_token_reused`: it was spent before, and its session has been ended"),
    ),
    security(()),
)]
#[post("/refresh")]
pub async fn refresh_tokens(service: Service, Body(body): Body<Refresh>) -> Answer {
    let tokens = service.refresh(&body.refresh_token).await?;
    Ok(Reply::ok(&TokensView::from(&tokens))?)
}

/// Sign out.
///
/// Both tokens of this session stop working everywhere within a second.
#[utoipa::path(
    tag = "user",
    responses((status = 204, description = "Signed out")),
    security(("bearer" = [])),
)]
#[post("/logout")]
pub async fn sign_out(service: Service, SignedIn(principal): SignedIn) -> Answer {
    service.sign_out(&principal).await?;
    Ok(Reply::no_content())
}
