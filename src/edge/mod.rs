//! What stands around every request of the public listener: who is let in, and what every answer carries.

mod certificates;
mod cors;
mod headers;
mod paths;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, ResponseError as _, web};
use eshopz_kernel::{Fault, FaultKind};
use eshopz_platform::cache::Throttle;
use eshopz_platform::http::client::came_by_tls;
use eshopz_platform::http::connections::is_crowded;
use eshopz_platform::http::{ClientAddress, HttpFault};

pub use certificates::Certificates;
pub use cors::Origins;
pub use paths::KnownPaths;

use crate::server::Readiness;

/// The most bytes of a path and a query together. RFC 9112, 3 asks for 8,000 at least.
const TARGET_LIMIT: usize = 8 * 1024;
/// The most bytes of all header fields together: what proxies pass on.
const HEADERS_LIMIT: usize = 32 * 1024;
/// The most header fields. actix reads no more than 96.
const HEADER_COUNT_LIMIT: usize = 80;

/// The rules of the public listener, in its application's data.
#[derive(Debug)]
pub struct Edge {
    /// The general limit by client, if it is on.
    pub limit: Option<Throttle>,
    /// The origins whose pages may read answers.
    pub origins: Origins,
    /// Whether clients are known to come by TLS, so that they can be told to come by nothing else.
    pub tls: bool,
    pub readiness: Readiness,
    pub paths: KnownPaths,
}

/// What is known of a request before it is answered.
struct Asked {
    /// The place of its origin among those that are allowed.
    origin: Option<usize>,
    docs: bool,
    tls: bool,
}

/// Middleware, around the routes and within the request's context.
///
/// # Errors
/// Those of the wrapped service.
pub async fn pass(
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let Some(edge) = req.app_data::<web::Data<Edge>>().cloned() else {
        return Err(HttpFault(Fault::internal("no Edge in the application's data")).into());
    };
    let asked = edge.look(&req);
    // An answer, not an error: an error would pass by what every answer has around it.
    let mut response = match edge.answer(&req, &asked).await {
        Some(answer) => req.into_response(answer).map_into_right_body(),
        None => next.call(req).await?.map_into_left_body(),
    };
    edge.finish(&mut response, &asked);
    Ok(response)
}

impl Edge {
    fn look(&self, req: &ServiceRequest) -> Asked {
        let path = req.path();
        Asked {
            origin: self.origins.find(req.headers()),
            docs: path.strip_prefix("/docs").is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            tls: self.tls || came_by_tls(req.request()),
        }
    }

    /// What is answered before any route is asked.
    async fn answer(&self, req: &ServiceRequest, asked: &Asked) -> Option<HttpResponse> {
        if let Err(fault) = check_head(req) {
            return Some(HttpFault(fault).error_response());
        }
        if asked.origin.is_some() && req.method() == Method::OPTIONS {
            let preflight = cors::preflight(req.headers(), self.paths.methods(req.path()));
            if preflight.is_some() {
                return preflight;
            }
        }
        if asked.origin.is_none() && cors::is_foreign_form(req.headers()) {
            let message = "A page of another site had the browser send this form. If it may, its origin belongs into \
                           ESHOPZ_CORS_ORIGINS.";
            return Some(HttpFault(Fault::new(FaultKind::Forbidden, "cross_site", message)).error_response());
        }
        let fault = match &self.limit {
            Some(limit) => limit.hit(&ClientAddress::of(req.request()).throttle_key()).await.err()?,
            None => return None,
        };
        Some(HttpFault(fault).error_response())
    }

    fn finish(&self, response: &mut ServiceResponse<impl MessageBody>, asked: &Asked) {
        let headers = response.headers_mut();
        headers::add(headers, asked.docs, asked.tls);
        self.origins.add(headers, asked.origin);
        // From the moment when the process leaves, each connection ends with its answer, so that no proxy keeps one
        // for a request which would then be lost.
        if !self.readiness.get() {
            response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
        }
    }
}

/// Whether a request's head is within its limits, and its connection has room for it.
fn check_head(req: &ServiceRequest) -> Result<(), Fault> {
    let target = req.path().len() + req.query_string().len();
    if target > TARGET_LIMIT {
        let message = format!("The path and the query have {target} bytes; {TARGET_LIMIT} are the most.");
        return Err(Fault::new(FaultKind::UriTooLong, "uri_too_long", message));
    }
    let fields = req.headers().iter();
    let (count, bytes) =
        fields.fold((0, 0), |(count, bytes), (name, value)| (count + 1, bytes + name.as_str().len() + value.len()));
    if count > HEADER_COUNT_LIMIT || bytes > HEADERS_LIMIT {
        let message = format!(
            "There are {count} header fields of {bytes} bytes; {HEADER_COUNT_LIMIT} fields of {HEADERS_LIMIT} bytes \
             together are the most."
        );
        return Err(Fault::new(FaultKind::HeadersTooLarge, "headers_too_large", message));
    }
    if is_crowded(req.request()) {
        return Err(Fault::unavailable("Too many requests are under way on this connection.", 1));
    }
    Ok(())
}
