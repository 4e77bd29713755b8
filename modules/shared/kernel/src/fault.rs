//! How a call fails: one type for every module, safe to show and safe to send.
//!
//! A module has its own error enum and turns it into a `Fault` in one exhaustive function; the edge
//! turns a `Fault` into an RFC 9457 problem document. The `message` is for the consumer and never
//! holds anything internal; the cause is kept beside it for the log and is not serialised.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The kinds of failure, in the terms of the caller. Each has one HTTP status at the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: nobody is signed in, or the token is no good.
    Unauthenticated,
    /// 402: the payment was declined.
    PaymentDeclined,
    /// 403: signed in, but without the role.
    Forbidden,
    /// 404: absent, or not the caller's.
    NotFound,
    /// 405: the path exists, the method does not.
    MethodNotAllowed,
    /// 406: no representation that the caller accepts.
    NotAcceptable,
    /// 408: the request took too long to arrive.
    RequestTimeout,
    /// 409: at odds with the present state.
    Conflict,
    /// 412: `If-Match` names another version.
    PreconditionFailed,
    /// 413: the body is over the limit.
    TooLarge,
    /// 414: the request's target is over the limit.
    UriTooLong,
    /// 415: the body's media type is not taken.
    UnsupportedMediaType,
    /// 422: well-formed, but not valid.
    Invalid,
    /// 428: a header that the operation requires is missing.
    PreconditionRequired,
    /// 431: the request's header fields are over the limit.
    HeadersTooLarge,
    /// 429: too many requests; see `retry_after`.
    TooManyRequests,
    /// 500: our mistake.
    Internal,
    /// 503: for the moment; see `retry_after`.
    Unavailable,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// JSON Pointer (RFC 6901) into the body, or `/name` of a query parameter.
    pub field: String,
    pub code: Cow<'static, str>,
    pub message: String,
}

/// A failed call.
#[derive(Clone, Serialize, Deserialize)]
pub struct Fault {
    pub kind: FaultKind,
    /// Stable, one meaning each.
    pub code: Cow<'static, str>,
    /// For the consumer: what is wrong and what to do.
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Further members of the problem document, such as `available`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    #[serde(skip)]
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
            Self::new(FaultKind::$kind, code, message)
        }
    )+};
}

impl Fault {
    /// A fault of any kind; the named constructors read better.
    pub fn new(kind: FaultKind, code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            message: message.into(),
            errors: Vec::new(),
            details: Map::new(),
            retry_after: None,
            cause: None,
        }
    }

    constructors! {
        /// 400.
        malformed => Malformed,
        /// 401.
        unauthenticated => Unauthenticated,
        /// 402.
        payment_declined => PaymentDeclined,
        /// 403.
        forbidden => Forbidden,
        /// 409.
        conflict => Conflict,
        /// 422.
        invalid => Invalid,
        /// 428.
        precondition_required => PreconditionRequired,
    }

    /// 404 `not_found`. `what` is a noun: "order".
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(FaultKind::NotFound, "not_found", format!("There is no such {what}, or it is not yours."))
    }

    /// 412 `etag_mismatch`.
    #[must_use]
    pub fn stale() -> Self {
        Self::new(
            FaultKind::PreconditionFailed,
            "etag_mismatch",
            "It has changed since you read it. Read it again and repeat the change with the new ETag.",
        )
    }

    /// 422 `validation_failed` with one field.
    pub fn field(field: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::validation(vec![FieldError { field: field.into(), code: Cow::Borrowed(code), message: message.into() }])
    }

    /// 422 `validation_failed` with every field that is wrong.
    #[must_use]
    pub fn validation(errors: Vec<FieldError>) -> Self {
        let mut fault =
            Self::new(FaultKind::Invalid, "validation_failed", "Some fields are not valid; see `errors` for each.");
        fault.errors = errors;
        fault
    }

    /// 429 `rate_limited`, to be tried again after some seconds.
    pub fn too_many(message: impl Into<String>, retry_after: u32) -> Self {
        let mut fault = Self::new(FaultKind::TooManyRequests, "rate_limited", message);
        fault.retry_after = Some(retry_after);
        fault
    }

    /// 503 `unavailable`, to be tried again after some seconds.
    pub fn unavailable(message: impl Into<String>, retry_after: u32) -> Self {
        let mut fault = Self::new(FaultKind::Unavailable, "unavailable", message);
        fault.retry_after = Some(retry_after);
        fault
    }

    /// 500 `internal`. The text goes to the log, not to the consumer.
    pub fn internal(log: impl Into<String>) -> Self {
        Self::new(FaultKind::Internal, "internal", "Something went wrong on our side. It has been noted.")
            .caused_by(InternalCause(log.into()))
    }

    /// Keeps what caused it, for the log. An earlier cause is kept only in the text of the new one.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause: Box<dyn Error + Send + Sync> = cause.into();
        self.cause = Some(match self.cause.take() {
            Some(earlier) => Arc::new(InternalCause(format!("{earlier}: {cause}"))),
            None => Arc::from(cause),
        });
        self
    }

    /// Adds a member to the problem document.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Serialize) -> Self {
        self.details.insert(name.to_owned(), serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }

    /// A member that was added, to be changed.
    pub fn detail_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.details.get_mut(name)
    }

    /// What caused it, if it was kept.
    #[must_use]
    pub fn cause(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// Whether the same call may succeed later without a change by the caller.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, FaultKind::Unavailable | FaultKind::TooManyRequests | FaultKind::Internal)
    }
}

/// An error and what caused it in one line, for the log.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Text that is for the log only.
#[derive(Debug)]
struct InternalCause(String);

impl fmt::Display for InternalCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for InternalCause {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.cause {
            Some(cause) => write!(f, ": {}", error_chain(cause.as_ref())),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fault({:?}, {self})", self.kind)
    }
}

impl Error for Fault {}
