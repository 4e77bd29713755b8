//! How the module's operations fail, and the problem documents that this gives.

use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::db::StoreError;
use eshopz_platform::http::ProblemCode;

use crate::vault::VaultError;

/// A failed operation of the user module.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    #[error("the email is taken")]
    EmailTaken,
    #[error("wrong email or password")]
    InvalidCredentials,
    #[error("the refresh token is unknown, expired or revoked")]
    InvalidRefreshToken,
    #[error("the refresh token was spent before")]
    RefreshTokenReused,
    #[error("the mailed token is unknown, used or expired")]
    InvalidMailedToken,
    #[error("the current password is another")]
    WrongCurrentPassword,
    #[error("a code of the second factor is needed")]
    SecondFactorRequired,
    #[error("wrong code of the second factor")]
    InvalidSecondFactor,
    #[error("there is a second factor already")]
    SecondFactorEnabled,
    #[error("no second factor was begun")]
    SecondFactorNotBegun,
    #[error("no second factor")]
    NoSecondFactor,
    #[error("one's own second factor is not taken away without a code")]
    OwnSecondFactor,
    #[error("second factors: {0}")]
    Vault(#[from] VaultError),
    #[error("it would leave no admin")]
    LastAdmin,
    #[error("no such user")]
    NoSuchUser,
    #[error("no such session")]
    NoSuchSession,
    #[error("no such address")]
    NoSuchAddress,
    #[error("the default address cannot be made an ordinary one")]
    DefaultAddressNeeded,
    #[error("the address book is full")]
    AddressBookFull,
    #[error("not every module has handed its part of an export over")]
    ExportNotReady,
    #[error("too many requests wait for a password to be hashed")]
    Busy,
    #[error("password hashing: {0}")]
    Hashing(String),
    #[error("signing key: {0}")]
    SigningKey(String),
    #[error("ESHOPZ_SIGNING_KEYS cannot be read: {0}")]
    GivenKeys(String),
    #[error("the signing keys come from ESHOPZ_SIGNING_KEYS; rotate them there")]
    KeysAreGiven,
    #[error("the signing keys are in the database; restart with ESHOPZ_SIGNING_KEYS to use others")]
    KeysAreStored,
    #[error("there is no such signing key")]
    NoSuchKey,
    /// Refused by a rule of the platform: a throttle, `If-Match`, a cursor.
    #[error(transparent)]
    Refused(Fault),
    #[error(transparent)]
    Store(StoreError),
}

eshopz_platform::module_error!(UserError);

impl From<Fault> for UserError {
    fn from(fault: Fault) -> Self {
        Self::Refused(fault)
    }
}

impl From<UserError> for Fault {
    fn from(error: UserError) -> Self {
        match error {
            UserError::EmailTaken => Self::conflict("email_taken", "There is an account with this email already."),
            UserError::InvalidCredentials => {
                Self::unauthenticated("invalid_credentials", "The email or the password is not right.")
            }
            UserError::InvalidRefreshToken => Self::unauthenticated(
                "invalid_refresh_token",
                "The refresh token is unknown, expired or revoked. Sign in again.",
            ),
            UserError::RefreshTokenReused => Self::unauthenticated(
                "refresh_token_reused",
                "This refresh token was used before, so its session has been ended. Sign in again.",
            ),
            UserError::InvalidMailedToken => Self::invalid(
                "invalid_or_expired_token",
                "The token from the mail is wrong, used or expired. Ask for a new one.",
            ),
            UserError::WrongCurrentPassword => {
                Self::field("/current_password", "incorrect", "is not the account's present password")
            }
            UserError::SecondFactorRequired => Self::unauthenticated(
                "second_factor_required",
                "The password is right. Sign in again with `code`, the six digits of your authenticator app, or with one \
                 of your recovery codes as `recovery_code`.",
            ),
            UserError::InvalidSecondFactor => Self::unauthenticated(
                "invalid_second_factor",
                "The code is not right, was used before, or is not of now. Wait for the next one.",
            ),
            UserError::SecondFactorEnabled => {
                Self::conflict("second_factor_enabled", "There is a second factor already. Take it away first.")
            }
            UserError::SecondFactorNotBegun => Self::conflict(
                "second_factor_not_begun",
                "No second factor was begun within the last hour. Begin with POST /api/v1/users/me/second-factor.",
            ),
            UserError::NoSecondFactor => Self::not_found("second factor"),
            UserError::OwnSecondFactor => Self::conflict(
                "own_second_factor",
                "Take your own away with DELETE /api/v1/users/me/second-factor, which asks for a code.",
            ),
            error @ UserError::Vault(_) => {
                Self::unavailable("Codes cannot be checked just now. A recovery code can.", 30).caused_by(error)
            }
            UserError::LastAdmin => Self::conflict(
                "last_admin",
                "This is the last admin who can sign in. Make another account an admin first.",
            ),
            UserError::NoSuchUser => Self::not_found("user"),
            UserError::NoSuchSession => Self::not_found("session"),
            UserError::NoSuchAddress => Self::not_found("address"),
            UserError::DefaultAddressNeeded => Self::field(
                "/is_default",
                "default_needed",
                "cannot be taken from the default address; make another address the default instead",
            ),
            UserError::AddressBookFull => Self::conflict(
                "address_book_full",
                format!("The address book has its {} entries. Delete one first.", crate::domain::MAX_ADDRESSES),
            ),
            UserError::ExportNotReady => {
                Self::unavailable("Your data is still being gathered. Ask again in a few seconds.", 5)
            }
            UserError::Busy => Self::unavailable("Too many sign-ins at the moment. Try again in a few seconds.", 2),
            // Of an operator's making; no consumer sees them.
            error @ (UserError::Hashing(_)
            | UserError::SigningKey(_)
            | UserError::GivenKeys(_)
            | UserError::KeysAreGiven
            | UserError::KeysAreStored
            | UserError::NoSuchKey) => Self::internal(error.to_string()),
            UserError::Refused(fault) => fault,
            UserError::Store(error) => error.into(),
        }
    }
}

/// The module's own problem codes, for the catalogue in its OpenAPI document.
pub const PROBLEMS: &[ProblemCode] = &[
    ProblemCode::new("email_taken", FaultKind::Conflict, "There is an account with this email already."),
    ProblemCode::new("invalid_credentials", FaultKind::Unauthenticated, "The email or the password is not right."),
    ProblemCode::new(
        "invalid_refresh_token",
        FaultKind::Unauthenticated,
        "The refresh token is unknown, expired or revoked.",
    ),
    ProblemCode::new(
        "refresh_token_reused",
        FaultKind::Unauthenticated,
        "The refresh token was used before; its session has been ended.",
    ),
    ProblemCode::new(
        "invalid_or_expired_token",
        FaultKind::Invalid,
        "The token from the mail is wrong, used or expired.",
    ),
    ProblemCode::new(
        "second_factor_required",
        FaultKind::Unauthenticated,
        "The password is right, and a code of the second factor is needed: `code` or `recovery_code`.",
    ),
    ProblemCode::new(
        "invalid_second_factor",
        FaultKind::Unauthenticated,
        "The code is not right, was used before, or is not of now.",
    ),
    ProblemCode::new("second_factor_enabled", FaultKind::Conflict, "There is a second factor already."),
    ProblemCode::new(
        "second_factor_not_begun",
        FaultKind::Conflict,
        "No second factor was begun within the last hour.",
    ),
    ProblemCode::new("own_second_factor", FaultKind::Conflict, "One's own second factor is taken away with a code."),
    ProblemCode::new("last_admin", FaultKind::Conflict, "It would leave no admin who can sign in."),
    ProblemCode::new("address_book_full", FaultKind::Conflict, "The address book has as many entries as it may."),
];
