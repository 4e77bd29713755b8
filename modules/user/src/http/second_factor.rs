//! `/api/v1/users/me/second-factor`: codes of an authenticator app beside the password.

use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use eshopz_kernel::{Fault, UserId};
use eshopz_platform::http::{Admin, Answer, Body, PathId, Problem, Reply, SignedIn};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::Service;
use crate::service::Device;
use crate::service::second_factor::{FactorState, NewFactor, Proof};

/// The account's password.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSecondFactor {
    #[validate(length(min = 1, max = 128))]
    #[schema(examples("correct horse battery"), format = Password, min_length = 1, max_length = 128)]
    current_password: String,
}

/// The first code.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmSecondFactor {
    /// Six digits, as the app shows them.
    #[validate(custom(function = "super::fields::six_digits"))]
    #[schema(examples("287082"), min_length = 6, max_length = 6, pattern = "^[0-9]{6}$")]
    code: String,
}

/// The password, and one of the two codes.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SecondFactorProof {
    #[validate(length(min = 1, max = 128))]
    #[schema(examples("correct horse battery"), format = Password, min_length = 1, max_length = 128)]
    current_password: String,
    /// Six digits, as the app shows them.
    #[validate(custom(function = "super::fields::six_digits"))]
    #[schema(examples("287082"), min_length = 6, max_length = 6, pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// Of somebody who has lost the app.
    #[validate(length(min = 1, max = 40))]
    #[schema(min_length = 1, max_length = 40)]
    recovery_code: Option<String>,
}

impl SecondFactorProof {
    fn taken_apart(self) -> Result<(String, Proof), Fault> {
        let proof = proof(self.code, self.recovery_code)?;
        let proof = proof.ok_or_else(|| Fault::field("/code", "required", "is required, or a `recovery_code`"))?;
        Ok((self.current_password, proof))
    }
}

/// What was shown of a second factor, if anything was.
///
/// # Errors
/// When both were.
pub fn proof(code: Option<String>, recovery_code: Option<String>) -> Result<Option<Proof>, Fault> {
    match (code, recovery_code) {
        (Some(_), Some(_)) => Err(Fault::field("/recovery_code", "one_of", "cannot be given together with a `code`")),
        (Some(code), None) => Ok(Some(Proof::Code(code))),
        (None, Some(code)) => Ok(Some(Proof::Recovery(code))),
        (None, None) => Ok(None),
    }
}

/// Whether codes are asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = SecondFactor)]
pub struct SecondFactorView {
    enabled: bool,
    enabled_at: Option<DateTime<Utc>>,
    /// How many of the ten were not used.
    #[schema(examples(10))]
    recovery_codes_left: i64,
}

impl From<FactorState> for SecondFactorView {
    fn from(state: FactorState) -> Self {
        Self {
            enabled: state.enabled_at.is_some(),
            enabled_at: state.enabled_at,
            recovery_codes_left: state.recovery_codes_left,
        }
    }
}

/// What an authenticator app is given. It is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = NewSecondFactor)]
pub struct NewSecondFactorView {
    /// Base32, to be typed in.
    #[schema(examples("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"))]
    secret: String,
    /// What a QR code for the app holds.
    #[schema(examples(
        "otpauth://totp/EShopz:ann%40example%2Ecom?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=EShopz&algorithm=SHA1&digits=6&period=30"
    ))]
    otpauth_uri: String,
}

impl From<NewFactor> for NewSecondFactorView {
    fn from(new: NewFactor) -> Self {
        Self { secret: new.secret, otpauth_uri: new.uri }
    }
}

/// Codes for who has lost the app, each good once. They are shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = RecoveryCodes)]
pub struct RecoveryCodesView {
    #[schema(examples(json!(["GEZD-GNBV-GY3T-QOJQ"])))]
    recovery_codes: Vec<String>,
}

/// Your second factor.
#[utoipa::path(
    tag = "user",
    responses((status = 200, body = SecondFactorView, description = "Whether there is one")),
    security(("bearer" = [])),
)]
#[get("/me/second-factor")]
pub async fn get_second_factor(service: Service, SignedIn(principal): SignedIn) -> Answer {
    Ok(Reply::ok(&SecondFactorView::from(service.second_factor(principal.user_id).await?))?)
}

/// Begin a second factor.
///
/// Put the secret into an authenticator app and confirm with the code that it shows, within an hour; until then nothing
/// changes. A secret that was begun before is worth nothing any more.
#[utoipa::path(
    tag = "user",
    request_body = BeginSecondFactor,
    responses(
        (status = 200, body = NewSecondFactorView, description = "The secret"),
        (status = 409, body = Problem, description = "`second_factor_enabled`: there is one already"),
        (status = 422, body = Problem, description = "`validation_failed`, with `/current_password` `incorrect` \
            when that is not the present one"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong attempts"),
    ),
    security(("bearer" = [])),
)]
#[post("/me/second-factor")]
pub async fn begin_second_factor(
    service: Service,
    SignedIn(principal): SignedIn,
    device: Device,
    Body(body): Body<BeginSecondFactor>,
) -> Answer {
    let new = service.begin_second_factor(&principal, body.current_password, &device).await?;
    Ok(Reply::ok(&NewSecondFactorView::from(new))?)
}

/// Confirm your second factor.
///
/// From now on every sign-in needs a code, or one of these recovery codes. Ends your other sessions.
#[utoipa::path(
    tag = "user",
    request_body = ConfirmSecondFactor,
    responses(
        (status = 200, body = RecoveryCodesView, description = "It is on; keep these codes where the app is not"),
        (status = 409, body = Problem, description = "`second_factor_not_begun`: not within the last hour; \
            `second_factor_enabled`"),
        (status = 422, body = Problem, description = "`validation_failed`, with `/code` `incorrect` when it is another"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong codes"),
    ),
    security(("bearer" = [])),
)]
#[post("/me/second-factor/confirm")]
pub async fn confirm_second_factor(
    service: Service,
    SignedIn(principal): SignedIn,
    Body(body): Body<ConfirmSecondFactor>,
) -> Answer {
    let recovery_codes = service.confirm_second_factor(&principal, body.code).await?;
    Ok(Reply::ok(&RecoveryCodesView { recovery_codes })?)
}

/// Make other recovery codes.
///
/// Those before are worth nothing any more.
#[utoipa::path(
    tag = "user",
    request_body = SecondFactorProof,
    responses(
        (status = 200, body = RecoveryCodesView, description = "The new ones"),
        (status = 404, body = Problem, description = "`not_found`: there is no second factor"),
        (status = 422, body = Problem, description = "`validation_failed`, with `/current_password`, `/code` or \
            `/recovery_code` `incorrect`"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong attempts"),
    ),
    security(("bearer" = [])),
)]
#[post("/me/second-factor/recovery-codes")]
pub async fn create_recovery_codes(
    service: Service,
    SignedIn(principal): SignedIn,
    device: Device,
    Body(body): Body<SecondFactorProof>,
) -> Answer {
    let (password, proof) = body.taken_apart()?;
    let recovery_codes = service.renew_recovery_codes(&principal, password, &proof, &device).await?;
    Ok(Reply::ok(&RecoveryCodesView { recovery_codes })?)
}

/// Take your second factor away.
#[utoipa::path(
    tag = "user",
    request_body = SecondFactorProof,
    responses(
        (status = 204, description = "A sign-in needs the password only"),
        (status = 404, body = Problem, description = "`not_found`: there is no second factor"),
        (status = 422, body = Problem, description = "`validation_failed`, with `/current_password`, `/code` or \
            `/recovery_code` `incorrect`"),
        (status = 429, body = Problem, description = "`rate_limited`: too many wrong attempts"),
    ),
    security(("bearer" = [])),
)]
#[delete("/me/second-factor")]
pub async fn delete_second_factor(
    service: Service,
    SignedIn(principal): SignedIn,
    device: Device,
    Body(body): Body<SecondFactorProof>,
) -> Answer {
    let (password, proof) = body.taken_apart()?;
    service.end_second_factor(&principal, password, &proof, &device).await?;
    Ok(Reply::no_content())
}

/// Take somebody's second factor away.
///
/// Admin. For who has lost the app and the recovery codes. The account's sessions end.
#[utoipa::path(
    tag = "user",
    params(("id" = Uuid, Path, description = "The account")),
    responses(
        (status = 204, description = "A sign-in needs the password only"),
        (status = 409, body = Problem, description = "`own_second_factor`: yours is taken away with a code"),
    ),
    security(("bearer" = [])),
)]
#[delete("/{id}/second-factor")]
pub async fn remove_second_factor(service: Service, Admin(admin): Admin, PathId(id): PathId<UserId>) -> Answer {
    service.remove_second_factor(&admin, id).await?;
    Ok(Reply::no_content())
}
