//! Conditional requests (RFC 9110, 13): the ETag of a resource and what clients say about it.
//!
//! An ETag is `"<version>-<hash of the representation>"`. `If-None-Match` compares the whole, so that
//! any visible change is seen; `If-Match` compares the version alone, so that a change that is no edit,
//! such as a sale that lowers `available`, does not stop an edit.

use std::future::{Ready, ready};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use eshopz_kernel::Fault;

use super::HttpFault;

/// Writes the ETag of a representation.
#[must_use]
pub fn etag(version: i64, body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{version}-{:016x}\"", hasher.finish())
}

/// Whether `If-None-Match` says that the client has this representation.
#[must_use]
pub fn is_known(req: &HttpRequest, etag: &str) -> bool {
    tags(req, &header::IF_NONE_MATCH).is_some_and(|tags| tags.iter().any(|tag| tag == "*" || tag == etag))
}

/// The `If-Match` header of a request, if it has one.
#[derive(Clone, Debug)]
pub struct IfMatch(Option<Vec<String>>);

impl IfMatch {
    /// Compares with the version that is about to be changed; call it where that row is locked.
    ///
    /// # Errors
    /// 412 `etag_mismatch` when the client saw another version.
    pub fn check(&self, version: i64) -> Result<(), Fault> {
        let Some(tags) = &self.0 else { return Ok(()) };
        let prefix = format!("\"{version}-");
        let matched = tags.iter().any(|tag| tag == "*" || tag.starts_with(&prefix));
        if matched { Ok(()) } else { Err(Fault::stale()) }
    }
}

impl FromRequest for IfMatch {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(tags(req, &header::IF_MATCH))))
    }
}

fn tags(req: &HttpRequest, name: &header::HeaderName) -> Option<Vec<String>> {
    let mut values = req.headers().get_all(name).peekable();
    values.peek()?;
    Some(
        values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/").to_owned())
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_looks_at_the_version_only() {
        let seen = IfMatch(Some(vec![etag(3, b"before a sale")]));
        assert!(seen.check(3).is_ok());
        assert!(seen.check(30).is_err());
        assert!(seen.check(4).is_err());
        assert!(IfMatch(None).check(4).is_ok());
        assert!(IfMatch(Some(vec!["*".to_owned()])).check(4).is_ok());
    }
}
