//! What happens around every request: its id and trace context, one log line, its metrics, and what every answer
//! tells.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use metrics::{Counter, Histogram};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanKind;
use tracing::Instrument as _;
use uuid::Builder;

use super::client::ClientAddress;
use super::standing;
use crate::context::{Asked, RequestContext};
use crate::trace::{self, Place, Step, Work};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Wraps a request; use it with `actix_web::middleware::from_fn`, outermost.
///
/// # Errors
/// Those of the wrapped service.
pub async fn request_context(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let started = Instant::now();
    let method = req.method().clone();
    // RFC 9110, 9.3.2: HEAD is GET without the content, which the connection leaves out by itself.
    if method == Method::HEAD {
        req.head_mut().method = Method::GET;
    }
    let client = ClientAddress::of(req.request());
    let request_id = request_id(&req);
    let (traceparent, place) = trace_of(&req);
    let context = RequestContext {
        request_id: request_id.clone(),
        traceparent: Some(place.map_or_else(|| traceparent.clone(), |place| place.traceparent())),
        address: client.0,
        ..RequestContext::default()
    };
    let path = without_words(req.path());
    let span = tracing::info_span!("request", %method, %path, %request_id, trace_id = trace::id_in(&traceparent));
    let (response, noted) = context.counted(next.call(req)).instrument(span.clone()).await;
    let mut response = response?;
    for (name, text) in [(&REQUEST_ID, &request_id), (&TRACEPARENT, &traceparent)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    standing::tell(response.headers_mut(), &noted.standings);
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let answered = Answered { status: response.status().as_u16(), started, asked: noted.asked };
    span.in_scope(|| {
        let Asked { statements, commits } = noted.asked;
        tracing::info!(
            %route, module = module_of(&route), request_id, trace_id = trace::id_in(&traceparent),
            actor_id = noted.actor.and_then(|actor| actor.id()), status = answered.status, %client, statements, commits,
            millis = started.elapsed().as_secs_f64() * 1_000.0, "answered"
        );
    });
    record(&method, &route, &answered);
    if let Some(place) = place {
        tell_span(place, &method, &route, &answered, noted.steps);
    }
    Ok(response)
}

/// A path as it may be logged. What somebody typed into it by mistake, such as an email or a token, is left out: what stays
/// of what is between two `/` has the letters and the length of ids, handles and the shop's own names.
fn without_words(path: &str) -> String {
    let is_name = |part: &str| {
        part.len() <= 40 && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let kept = path.split('/').take(12).map(|part| if is_name(part) { part } else { "*" });
    kept.collect::<Vec<_>>().join("/")
}

/// What is known of a request when its answer is there.
struct Answered {
    status: u16,
    started: Instant,
    /// Of the database.
    asked: Asked,
}

fn record(method: &Method, route: &str, answered: &Answered) {
    let Answered { status, started, asked } = *answered;
    let elapsed = started.elapsed().as_secs_f64();
    let method = known_method(method);
    MEASURES.with_borrow_mut(|of_route| {
        if let Some(known) = of_route.get(route).and_then(|measures| measures.get(&(method, status))) {
            return known.record(elapsed, asked);
        }
        let measures = Measures::of(method, route, status);
        measures.record(elapsed, asked);
        of_route.entry(route.to_owned()).or_default().insert((method, status), measures);
    });
}

/// Of one route, by method and status.
type OfRoute = HashMap<(&'static str, u16), Measures>;

thread_local! {
    /// By route. To look one up among all metrics costs more than to record.
    static MEASURES: RefCell<HashMap<String, OfRoute>> = RefCell::default();
}

/// What is measured of the requests of one route, method and status.
struct Measures {
    answered: Counter,
    duration: Histogram,
    statements: Histogram,
    commits: Histogram,
}

impl Measures {
    fn of(method: &'static str, route: &str, status: u16) -> Self {
        let with = |name: &'static str, value: String| {
            [
                ("module", module_of(route).to_owned()),
                ("method", method.to_owned()),
                ("route", route.to_owned()),
                (name, value),
            ]
        };
        let labels = with("status", status.to_string());
        // A histogram is many series, and how long an answer took does not depend on which of its class it is.
        let by_class = with("status_class", format!("{}xx", status / 100));
        Self {
            answered: metrics::counter!("eshopz_http_responses_total", &labels),
            duration: metrics::histogram!("eshopz_http_request_duration_seconds", &by_class),
            statements: metrics::histogram!("eshopz_http_db_statements", &labels),
            commits: metrics::histogram!("eshopz_http_db_commits", &labels),
        }
    }

    fn record(&self, elapsed: f64, asked: Asked) {
        self.answered.increment(1);
        self.duration.record(elapsed);
        self.statements.record(f64::from(asked.statements));
        self.commits.record(f64::from(asked.commits));
    }
}

/// Methods are a label; a client must not be able to make up new ones.
fn known_method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}

/// The third segment of `/api/v1/<prefix>/…` and `/internal/v1/<module>/…` names the room; `edge` is
/// everything else.
fn module_of(route: &str) -> &'static str {
    let mut segments = route.split('/').skip(1);
    match (segments.next().unwrap_or_default(), segments.nth(1).unwrap_or_default()) {
        ("internal", "user") | ("api", "users" | "auth") => "user",
        ("internal", "product") | ("api", "products" | "variants" | "categories") => "product",
        ("internal", "cart") | ("api", "carts") => "cart",
        ("internal", "payment") | ("api", "payments") => "payment",
        ("internal", "order") | ("api", "orders") => "order",
        _ => "edge",
    }
}

/// Takes the client's id when it is 1 to 128 characters of a harmless alphabet, else makes one.
fn request_id(req: &ServiceRequest) -> String {
    req.headers()
        .get(&REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| is_harmless(id))
        .map_or_else(new_request_id, str::to_owned)
}

/// It comes back in a header and stands in the log: nothing in it may end either.
pub(super) fn is_harmless(id: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    (1..=128).contains(&id.len()) && id.bytes().all(harmless)
}

/// In the order of their making, to the millisecond (RFC 9562, version 7). The thread's own generator makes it:
/// to ask the system each time costs more than the rest of a short answer.
fn new_request_id() -> String {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rand::random()).into_uuid().to_string()
}

/// Takes a well-formed W3C `traceparent` (version 00), else begins a trace; with the request's place in it, if spans are
/// kept.
fn trace_of(req: &ServiceRequest) -> (String, Option<Place>) {
    let given =
        req.headers().get(&TRACEPARENT).and_then(|value| value.to_str().ok()).filter(|text| is_traceparent(text));
    let place = trace::is_on().then(|| Place::after(given));
    let made = || place.map_or_else(new_traceparent, |place| place.traceparent());
    (given.map_or_else(made, str::to_owned), place)
}

/// As OpenTelemetry's semantic conventions for HTTP have it.
fn tell_span(place: Place, method: &Method, route: &str, answered: &Answered, steps: Vec<Step>) {
    let (module, status) = (module_of(route), answered.status);
    let attributes = vec![
        KeyValue::new("http.request.method", known_method(method)),
        KeyValue::new("http.route", route.to_owned()),
        KeyValue::new("http.response.status_code", i64::from(status)),
        KeyValue::new("eshopz.module", module),
    ];
    let work = Work {
        place,
        began: answered.started,
        name: format!("{} {route}", known_method(method)),
        kind: SpanKind::Server,
        attributes,
        failed: (status >= 500).then_some(Cow::Borrowed("")),
    };
    work.end(steps);
}

pub(super) fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts.as_slice() {
        [version, trace, parent, flags] => {
            *version == "00"
                && hex(trace, 32)
                && hex(parent, 16)
                && hex(flags, 2)
                && [*trace, *parent].iter().all(|part| part.bytes().any(|b| b != b'0'))
        }
        _ => false,
    }
}

fn new_traceparent() -> String {
    // Neither may be all zeros.
    let (trace, parent): (u128, u64) = (rand::random::<u128>().max(1), rand::random::<u64>().max(1));
    format!("00-{trace:032x}-{parent:016x}-01")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_into_a_path_is_not_told() {
        for (path, told) in [
            ("/api/v1/products/mug-of-clay_2.0", "/api/v1/products/mug-of-clay_2.0"),
            (
                "/api/v1/orders/0197c0de-0000-7000-8000-000000000001/cancel",
                "/api/v1/orders/0197c0de-0000-7000-8000-000000000001/cancel",
            ),
            ("/api/v1/orders/ann@example.com", "/api/v1/orders/*"),
            ("/api/v1/orders/ann%40example.com/x", "/api/v1/orders/*/x"),
            ("/api/v1/auth/AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfG", "/api/v1/auth/*"),
            ("/a b/\u{e9}", "/*/*"),
        ] {
            assert_eq!(without_words(path), told);
        }
    }

    #[test]
    fn a_route_has_the_label_of_its_module() {
        for (route, module) in [
            ("/api/v1/products/{id}", "product"),
            ("/api/v1/auth/login", "user"),
            ("/internal/v1/product/variants", "product"),
            ("/internal/v1/order/events/order.mark_paid", "order"),
            ("/internal/v1/unheard", "edge"),
            ("/openapi.json", "edge"),
            ("unmatched", "edge"),
        ] {
            assert_eq!(module_of(route), module, "{route}");
        }
    }

    #[test]
    fn trace_context_is_taken_only_when_well_formed() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-00000000000000000000000000000000-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        assert!(!is_traceparent("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"));
        assert!(!is_traceparent("nonsense"));
        let fresh = new_traceparent();
        assert!(is_traceparent(&fresh));
        assert_eq!(trace::id_in(&fresh).len(), 32);
    }
}
