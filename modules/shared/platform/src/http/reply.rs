//! Answers: status, body, ETag, Location. A handler returns a [`Reply`]; this file turns it into a
//! response, answers `If-None-Match`, and keeps it as bytes for idempotent replays.

use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use eshopz_kernel::Fault;
use serde::Serialize;

use super::conditional;

/// An answer of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    status: StatusCode,
    body: Bytes,
    version: Option<i64>,
    etag: Option<String>,
    location: Option<String>,
    replayed: bool,
    cacheable: bool,
    content_type: &'static str,
}

const JSON: &str = "application/json";

impl Reply {
    fn with_body<T: Serialize>(status: StatusCode, view: &T) -> Result<Self, Fault> {
        let body = serde_json::to_vec(view).map_err(|error| Fault::internal("serialise answer").caused_by(error))?;
        Ok(Self::of(status, Bytes::from(body), JSON))
    }

    const fn of(status: StatusCode, body: Bytes, content_type: &'static str) -> Self {
        let (version, etag, location) = (None, None, None);
        Self { status, body, version, etag, location, replayed: false, cacheable: false, content_type }
    }

    /// 200 with JSON that was written before, and its ETag as [`conditional::etag`] made it.
    #[must_use]
    pub fn written(body: Bytes, etag: &str) -> Self {
        Self { etag: Some(etag.to_owned()), ..Self::of(StatusCode::OK, body, JSON) }
    }

    /// 200 with JSON that was written before.
    #[must_use]
    pub const fn json(body: Bytes) -> Self {
        Self::of(StatusCode::OK, body, JSON)
    }

    /// 200 with a view.
    ///
    /// # Errors
    /// Internal, when the view cannot be written as JSON.
    pub fn ok<T: Serialize>(view: &T) -> Result<Self, Fault> {
        Self::with_body(StatusCode::OK, view)
    }

    /// 201 with a view and its path.
    ///
    /// # Errors
    /// Internal, when the view cannot be written as JSON.
    pub fn created<T: Serialize>(location: impl Into<String>, view: &T) -> Result<Self, Fault> {
        let mut reply = Self::with_body(StatusCode::CREATED, view)?;
        reply.location = Some(location.into());
        Ok(reply)
    }

    /// 202 with a view.
    ///
    /// # Errors
    /// Internal, when the view cannot be written as JSON.
    pub fn accepted<T: Serialize>(view: &T) -> Result<Self, Fault> {
        Self::with_body(StatusCode::ACCEPTED, view)
    }

    /// 204.
    #[must_use]
    pub fn no_content() -> Self {
        Self::stored(StatusCode::NO_CONTENT, Vec::new(), None)
    }

    /// An answer as it was kept by [`crate::idempotency`].
    #[must_use]
    pub(crate) fn stored(status: StatusCode, body: Vec<u8>, location: Option<String>) -> Self {
        let content_type = if status.as_u16() >= 400 { super::problem::MEDIA_TYPE } else { JSON };
        Self { location, ..Self::of(status, Bytes::from(body), content_type) }
    }

    /// Adds an ETag made of the row's version and the body.
    #[must_use]
    pub const fn etag(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    /// Lets shared caches keep it for a short time; for what everybody may see.
    #[must_use]
    pub const fn public(mut self) -> Self {
        self.cacheable = true;
        self
    }

    /// Marks it as the repetition of an earlier answer.
    #[must_use]
    pub const fn replayed(mut self) -> Self {
        self.replayed = true;
        self
    }

    /// Changes its text, where there is a change to be made.
    #[must_use]
    pub fn map_text(mut self, change: impl FnOnce(&str) -> Option<String>) -> Self {
        if let Some(changed) = std::str::from_utf8(&self.body).ok().and_then(change) {
            self.body = Bytes::from(changed);
        }
        self
    }

    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, req: &HttpRequest) -> HttpResponse {
        let mut builder = HttpResponse::build(self.status);
        let get = req.method() == actix_web::http::Method::GET;
        let cache = match self.cacheable {
            true => "public, max-age=5, stale-while-revalidate=30",
            // There are tokens in it, or what is somebody's own.
            false => "no-store",
        };
        builder.insert_header((header::CACHE_CONTROL, HeaderValue::from_static(cache)));
        if self.cacheable {
            builder.insert_header((header::VARY, HeaderValue::from_static("authorization")));
        }
        let etag = self.etag.or_else(|| Some(conditional::etag(self.version?, &self.body)));
        if let Some(etag) = etag {
            let known = get && conditional::is_known(req, &etag);
            builder.insert_header((header::ETAG, etag));
            if known {
                return builder.status(StatusCode::NOT_MODIFIED).finish();
            }
        }
        if let Some(location) = self.location {
            builder.insert_header((header::LOCATION, location));
        }
        if self.replayed {
            builder.insert_header(("idempotency-replayed", HeaderValue::from_static("true")));
        }
        if self.status == StatusCode::NO_CONTENT {
            return builder.finish();
        }
        builder.insert_header((header::CONTENT_TYPE, HeaderValue::from_static(self.content_type)));
        builder.body(self.body)
    }
}
