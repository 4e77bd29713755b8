//! Why a secret could not be had, in words that say what to do about it.

use aws_sdk_secretsmanager::error::SdkError;
use aws_sdk_secretsmanager::operation::get_secret_value::GetSecretValueError;
use eshopz_kernel::error_chain;

/// A secret could not be had. No variant holds any of its content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    #[error("no AWS region is set: set AWS_REGION to the region of the secrets")]
    Region,
    #[error(
        "there are no AWS credentials ({0}): give the process a role (IRSA, an instance profile), or set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Credentials(String),
    #[error(
        "AWS Secrets Manager has no secret `{0}` in this account and region: create it, or mend its name or AWS_REGION"
    )]
    NotFound(String),
    #[error(
        "AWS refuses to show the secret `{0}` ({1}): allow secretsmanager:GetSecretValue on it to this role, and \
         kms:Decrypt if it has a key of its own"
    )]
    Denied(String, String),
    #[error("the secret `{0}` has no value that could be read: it is about to be deleted, or was never given one")]
    NoValue(String),
    #[error("AWS Secrets Manager cannot be reached for the secret `{0}`: {1}")]
    Unreachable(String, String),
    #[error("AWS Secrets Manager did not give the secret `{0}`: {1}")]
    Refused(String, String),
    #[error(r#"the secret `{0}` is not a JSON object such as {{"database_url": "…"}}"#)]
    NotAnObject(String),
    #[error("in the secret `{0}`, `{1}` has to be a text")]
    NotText(String, String),
    #[error("the secret `{0}` is of a database whose `engine` is not PostgreSQL")]
    Engine(String),
    #[error(
        "the secret `{0}` has a user name and a password but no `host`: add `host`, `port` and `dbname`, or put a \
         whole `database_url` into it"
    )]
    NoHost(String),
}

impl SecretsError {
    /// Whether it is wrong as it stands, rather than out of reach just now.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        match self {
            Self::Region
            | Self::NotFound(_)
            | Self::Denied(..)
            | Self::NoValue(_)
            | Self::NotAnObject(_)
            | Self::NotText(..)
            | Self::Engine(_)
            | Self::NoHost(_) => true,
            Self::Credentials(_) | Self::Unreachable(..) | Self::Refused(..) => false,
        }
    }

    /// Only texts that AWS or the network wrote get in, never the `Debug` of an error: that would have the
    /// answer's body in it.
    pub(super) fn of(name: &str, error: &SdkError<GetSecretValueError>) -> Self {
        let name = name.to_owned();
        let Some(refusal) = error.as_service_error() else {
            let detail = error_chain(error);
            return if detail.contains("credential") || detail.contains("identity") {
                Self::Credentials(detail)
            } else {
                Self::Unreachable(name, detail)
            };
        };
        let code = refusal.meta().code().unwrap_or("an unknown error").to_owned();
        match code.as_str() {
            "ResourceNotFoundException" => Self::NotFound(name),
            "InvalidRequestException" => Self::NoValue(name),
            "AccessDeniedException" | "AccessDenied" | "DecryptionFailure" => Self::Denied(name, code),
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "IncompleteSignature"
            | "MissingAuthenticationTokenException"
            | "ExpiredTokenException" => Self::Credentials(code),
            _ => Self::Refused(name, code),
        }
    }
}
