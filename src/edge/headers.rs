//! The header fields by which browsers are told how to treat an answer, after OWASP's Secure Headers Project. The API
//! is data: no page may be made of it, put around it, or fetch by it. `X-Content-Type-Options` is on the answers of
//! all listeners, and not in here.

use actix_web::http::header::{
    CONTENT_SECURITY_POLICY, CROSS_ORIGIN_OPENER_POLICY, CROSS_ORIGIN_RESOURCE_POLICY, HeaderMap, HeaderName,
    HeaderValue, PERMISSIONS_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_FRAME_OPTIONS,
};

/// Of every answer. A page of another origin that CORS lets read answers may do so in spite of
/// `Cross-Origin-Resource-Policy`, which is about images, scripts and the like.
static ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (PERMISSIONS_POLICY, HeaderValue::from_static(NO_DEVICES)),
    (CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

const NO_DEVICES: &str = "accelerometer=(), camera=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
    payment=(), usb=()";

static POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");

/// The Swagger UI is files of this listener. Its script writes styles into the page, which no hash could keep up with,
/// and its style sheet has images in `data:` URLs.
static DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A year, as preloading lists ask for (RFC 6797, 6.1). Browsers heed it over TLS only.
static ONLY_BY_TLS: HeaderValue = HeaderValue::from_static("max-age=31536000; includeSubDomains");

/// Adds those of an answer: of the Swagger UI or of anything else, and to a client that comes by TLS or not.
pub(super) fn add(headers: &mut HeaderMap, docs: bool, tls: bool) {
    for (name, value) in &ALWAYS {
        headers.insert(name.clone(), value.clone());
    }
    let policy = if docs { &DOCS_POLICY } else { &POLICY };
    headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
    if tls {
        headers.insert(STRICT_TRANSPORT_SECURITY, ONLY_BY_TLS.clone());
    }
}
