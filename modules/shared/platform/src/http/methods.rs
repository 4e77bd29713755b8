//! Methods that a path does not take.

use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError as _, Route, web};
use eshopz_kernel::{Fault, FaultKind};

use super::HttpFault;

/// 405 with the methods that the path takes, as RFC 9110 (15.5.6) has it.
#[must_use]
pub fn method_not_allowed(methods: &str) -> HttpResponse {
    let message = format!("This path takes {methods}.");
    let mut response =
        HttpFault(Fault::new(FaultKind::MethodNotAllowed, "method_not_allowed", message)).error_response();
    if let Ok(value) = HeaderValue::from_str(methods) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}

/// For a fixed path beside one with an id: every method but `methods` is refused, where the fixed path would else
/// be taken for an id. It goes behind the handlers of the fixed path and before those of the other.
#[must_use]
pub fn nothing_but(methods: &'static str) -> Route {
    web::route().to(move || std::future::ready(method_not_allowed(methods)))
}
