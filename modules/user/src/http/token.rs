//! `/api/v1/auth/token`: signing in as OAuth 2.0 clients do (RFC 6749, 4.3 and 6), so that tools that
//! know OAuth, such as the *Authorize* dialog of the documentation, need to know nothing of this shop.

use actix_web::post;
use eshopz_kernel::Fault;
use eshopz_platform::http::{Answer, Form, Problem, Reply};
use serde::Deserialize;
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use super::second_factor::proof;
use super::views::TokensView;
use crate::service::Device;

/// What the form is used for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GrantType {
    Password,
    RefreshToken,
}

/// A token request. What OAuth clients add to it (`scope`, `client_id`, `client_secret`) is passed over.
#[derive(Deserialize, Validate, ToSchema)]
pub struct TokenRequest {
    grant_type: GrantType,
    /// The email, for the grant `password`.
    #[validate(length(max = 254), custom(function = "super::fields::one_line"))]
    #[schema(examples("ann@example.com"))]
    username: Option<String>,
    #[validate(length(max = 128))]
    #[schema(examples("correct horse battery"), format = Password)]
    password: Option<String>,
    /// Six digits of the authenticator app, for the grant `password` where the account has a second factor.
    #[validate(custom(function = "super::fields::six_digits"))]
    #[schema(examples("287082"), min_length = 6, max_length = 6, pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// In place of `code`.
    #[validate(length(min = 1, max = 40))]
    recovery_code: Option<String>,
    /// For the grant `refresh_token`.
    #[validate(length(max = 200))]
    refresh_token: Option<String>,
}

/// Sign in by OAuth 2.0.
///
/// The same as `POST /auth/login` and `POST /auth/refresh`, as a form.
#[utoipa::path(
    tag = "user",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, body = TokensView, description = "Signed in"),
        (status = 401, body = Problem, description = "`invalid_credentials`, `second_factor_required`, \
            `invalid_second_factor`, `invalid_refresh_token` or `refresh_token_reused`"),
        (status = 403, body = Problem, description = "`cross_site`: a page of a site that is not allowed had a browser \
            send the form"),
        (status = 429, body = Problem, description = "`rate_limited`: too many failures; see `Retry-After`"),
    ),
    security(()),
)]
#[post("/token")]
pub async fn issue_token(service: Service, device: Device, Form(form): Form<TokenRequest>) -> Answer {
    let tokens = match form.grant_type {
        GrantType::Password => {
            let email = form.username.ok_or_else(|| missing("/username"))?;
            let password = form.password.ok_or_else(|| missing("/password"))?;
            let proof = proof(form.code, form.recovery_code)?;
            service.sign_in(email.trim(), password, proof.as_ref(), &device).await?
        }
        GrantType::RefreshToken => {
            let token = form.refresh_token.ok_or_else(|| missing("/refresh_token"))?;
            service.refresh(&token).await?
        }
    };
    Ok(Reply::ok(&TokensView::from(&tokens))?)
}

fn missing(field: &str) -> Fault {
    Fault::field(field, "required", "is required for this grant")
}
