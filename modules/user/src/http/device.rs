//! The device behind a request, as an extractor.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use eshopz_platform::http::{ClientAddress, HttpFault};

use crate::service::Device;

/// Characters of a `User-Agent` that are kept.
const USER_AGENT_KEPT: usize = 300;

impl FromRequest for Device {
    type Error = HttpFault;
    type Future = Ready<Result<Self, HttpFault>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let user_agent = req.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let user_agent = user_agent.map(|text| text.chars().take(USER_AGENT_KEPT).collect());
        ready(ClientAddress::from_request(req, payload).into_inner().map(|client| Self {
            user_agent,
            address: client.0.map(|address| address.to_string()),
            throttle_key: client.throttle_key(),
        }))
    }
}
