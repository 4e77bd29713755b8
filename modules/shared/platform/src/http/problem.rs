//! A [`Fault`] as an RFC 9457 problem document. The cause of a fault of ours is logged here, once.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use eshopz_kernel::{Fault, FaultKind};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::context;

/// The media type of RFC 9457.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// RFC 9457 problem document.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem<'a> {
    /// `urn:eshopz:problem:` and the code.
    #[schema(value_type = String, examples("urn:eshopz:problem:not_found"))]
    r#type: String,
    /// The status in words.
    #[schema(value_type = String, examples("Not Found"))]
    title: &'a str,
    #[schema(examples(404))]
    status: u16,
    /// What is wrong here and what to do about it.
    #[schema(value_type = String)]
    detail: &'a str,
    /// Stable; one meaning each.
    #[schema(value_type = String, examples("not_found"))]
    code: &'a str,
    /// Name it when you ask for help.
    request_id: String,
    /// Each field that is not valid (422 only).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField<'a>>,
    #[serde(flatten)]
    #[schema(ignore)]
    details: &'a Map<String, Value>,
}

/// One field that is not valid.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemField<'a> {
    /// JSON Pointer (RFC 6901).
    #[schema(value_type = String, pattern = "^(/|$)", examples("/items/0/quantity"))]
    field: &'a str,
    #[schema(value_type = String, examples("range"))]
    code: &'a str,
    #[schema(value_type = String)]
    message: &'a str,
}

/// An entry of the catalogue of problem codes that a module publishes in its OpenAPI document.
#[derive(Clone, Copy, Debug)]
pub struct ProblemCode {
    pub code: &'static str,
    pub kind: FaultKind,
    pub meaning: &'static str,
}

impl ProblemCode {
    #[must_use]
    pub const fn new(code: &'static str, kind: FaultKind, meaning: &'static str) -> Self {
        Self { code, kind, meaning }
    }
}

/// The codes that any endpoint can answer with.
pub const COMMON_CODES: &[ProblemCode] = &[
    ProblemCode::new("malformed_json", FaultKind::Malformed, "The body is not JSON."),
    ProblemCode::new("malformed_body", FaultKind::Malformed, "The body could not be read."),
    ProblemCode::new("malformed_query", FaultKind::Malformed, "The query string could not be read."),
    ProblemCode::new("malformed_header", FaultKind::Malformed, "A header is not of its form."),
    ProblemCode::new("invalid_id", FaultKind::Malformed, "An id in the path is not a UUID."),
    ProblemCode::new("unauthenticated", FaultKind::Unauthenticated, "Sign in: a bearer token is required."),
    ProblemCode::new("invalid_token", FaultKind::Unauthenticated, "The access token is expired, revoked or not ours."),
    ProblemCode::new("forbidden", FaultKind::Forbidden, "The role of the account does not allow it."),
    ProblemCode::new("cross_site", FaultKind::Forbidden, "A page of another site had a browser send a form."),
    ProblemCode::new("second_factor_needed", FaultKind::Forbidden, "An admin needs a second factor; set one up first."),
    ProblemCode::new("not_found", FaultKind::NotFound, "It does not exist, or it is not yours."),
    ProblemCode::new("method_not_allowed", FaultKind::MethodNotAllowed, "The path exists, the method does not."),
    ProblemCode::new("request_timeout", FaultKind::RequestTimeout, "The body arrived too slowly."),
    ProblemCode::new("etag_mismatch", FaultKind::PreconditionFailed, "`If-Match` names another version."),
    ProblemCode::new("body_too_large", FaultKind::TooLarge, "The body is over the limit."),
    ProblemCode::new("uri_too_long", FaultKind::UriTooLong, "Path and query are over the limit."),
    ProblemCode::new("headers_too_large", FaultKind::HeadersTooLarge, "The header fields are over the limit."),
    ProblemCode::new("unsupported_media_type", FaultKind::UnsupportedMediaType, "The body's media type is not taken."),
    ProblemCode::new("validation_failed", FaultKind::Invalid, "Fields are not valid; `errors` names each."),
    ProblemCode::new("idempotency_key_required", FaultKind::PreconditionRequired, "`Idempotency-Key` is missing."),
    ProblemCode::new("idempotency_key_reused", FaultKind::Invalid, "The key was used for another request."),
    ProblemCode::new("idempotency_in_progress", FaultKind::Conflict, "The first request with this key still runs."),
    ProblemCode::new("rate_limited", FaultKind::TooManyRequests, "Too many requests; see `Retry-After`."),
    ProblemCode::new("internal", FaultKind::Internal, "Our mistake; it has been noted."),
    ProblemCode::new("unavailable", FaultKind::Unavailable, "For the moment; see `Retry-After`."),
];

/// The HTTP status of a kind of fault.
#[must_use]
pub const fn status_of(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Malformed => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::PaymentDeclined => StatusCode::PAYMENT_REQUIRED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        FaultKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        FaultKind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        FaultKind::Conflict => StatusCode::CONFLICT,
        FaultKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FaultKind::UriTooLong => StatusCode::URI_TOO_LONG,
        FaultKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        FaultKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        FaultKind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        FaultKind::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        FaultKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// A fault on its way out of a handler.
#[derive(Debug)]
pub struct HttpFault(pub Fault);

impl From<Fault> for HttpFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl std::fmt::Display for HttpFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl HttpFault {
    /// The document's bytes, as they are also stored for idempotent replays.
    #[must_use]
    pub fn document(&self) -> Vec<u8> {
        let fault = &self.0;
        let status = status_of(fault.kind);
        let problem = Problem {
            r#type: format!("urn:eshopz:problem:{}", fault.code),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &fault.message,
            code: &fault.code,
            request_id: context::current_request_id(),
            errors: fault
                .errors
                .iter()
                .map(|error| ProblemField { field: &error.field, code: &error.code, message: &error.message })
                .collect(),
            details: &fault.details,
        };
        serde_json::to_vec(&problem).unwrap_or_default()
    }
}

impl ResponseError for HttpFault {
    fn status_code(&self) -> StatusCode {
        status_of(self.0.kind)
    }

    fn error_response(&self) -> HttpResponse {
        let fault = &self.0;
        if matches!(fault.kind, FaultKind::Internal | FaultKind::Unavailable) {
            tracing::error!(code = %fault.code, error = %fault, "request failed");
        }
        let mut builder = HttpResponse::build(self.status_code());
        builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)));
        builder.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if fault.kind == FaultKind::Unauthenticated {
            builder.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"eshopz\"")));
        }
        if fault.kind == FaultKind::RequestTimeout {
            // Whatever else of it comes is nobody's.
            builder.force_close();
        }
        if let Some(seconds) = fault.retry_after {
            builder.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        builder.body(self.document())
    }
}

/// Gives a module's error enum its way to the edge: `Into<Fault>` (which the module writes, without a
/// wildcard arm) makes it a [`HttpFault`], and statements may fail inside its transactions.
///
/// The enum must have a variant `Store(StoreError)`.
#[macro_export]
macro_rules! module_error {
    ($name:ident) => {
        impl From<$name> for $crate::http::HttpFault {
            fn from(error: $name) -> Self {
                Self(error.into())
            }
        }

        impl From<diesel::result::Error> for $name {
            fn from(error: diesel::result::Error) -> Self {
                Self::Store($crate::db::StoreError::from(error))
            }
        }

        impl From<$crate::db::StoreError> for $name {
            fn from(error: $crate::db::StoreError) -> Self {
                Self::Store(error)
            }
        }
    };
}
