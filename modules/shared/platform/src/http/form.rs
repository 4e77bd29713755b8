//! HTML form bodies, for the one standard that insists on them (RFC 6749).

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use validator::Validate;

use super::HttpFault;
use super::body::{check_media_type, read};
use super::params::parse;

/// The media type of a form, which a page of any site may send without asking before.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The largest form that is read, in bytes.
const FORM_LIMIT: usize = 16 * 1024;

/// A body of `application/x-www-form-urlencoded`, refused like [`super::Body`].
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T: DeserializeOwned + Validate + 'static> FromRequest for Form<T> {
    type Error = HttpFault;
    type Future = Pin<Box<dyn Future<Output = Result<Self, HttpFault>>>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            check_media_type(&req, &[FORM])?;
            let bytes = read(&req, payload, FORM_LIMIT).await?;
            Ok(Self(parse(&bytes)?))
        })
    }
}
