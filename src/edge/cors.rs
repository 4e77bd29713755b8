//! Cross-origin requests (the Fetch standard's CORS protocol) by a list of the origins whose pages may read answers.
//! Credentials are never allowed: the shop has no cookies, and its tokens are header fields.

use std::str::FromStr;

use actix_web::HttpResponse;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use actix_web::http::uri::Uri;
use eshopz_platform::http::body::media_type;
use eshopz_platform::http::form::FORM;

/// What a page may send beside what any page may.
static SENT: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-match, if-none-match, traceparent, x-cart-token, x-order-token, \
     x-request-id",
);

/// What a page may read beside what any page may.
static READ: HeaderValue = HeaderValue::from_static(
    "content-disposition, etag, idempotency-replayed, location, ratelimit, ratelimit-policy, retry-after, traceparent, \
     www-authenticate, x-request-id",
);

/// Two hours, the longest that a browser remembers a preflight.
static REMEMBERED: HeaderValue = HeaderValue::from_static("7200");

static BY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The origins whose pages may read answers; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

impl FromStr for Origins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(origin).collect::<Result<_, _>>().map(Self)
    }
}

/// An origin as browsers write it (RFC 6454, 6.2).
fn origin(text: &str) -> Result<HeaderValue, String> {
    if text == "*" {
        return Err("`*` would let every page in; name each origin, as in https://shop.example.com".to_owned());
    }
    let wrong = || format!("`{text}` is no origin such as https://shop.example.com");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host().filter(|host| !host.contains('*'))) else {
        return Err(wrong());
    };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(wrong()),
    };
    let port = uri.port_u16().filter(|port| *port != default).map(|port| format!(":{port}")).unwrap_or_default();
    let written = format!("{scheme}://{host}{port}").to_lowercase();
    if written != text {
        return Err(format!("{}; browsers would write `{written}`", wrong()));
    }
    HeaderValue::try_from(written).map_err(|_| wrong())
}

impl Origins {
    /// The place of a request's origin among these.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<usize> {
        if self.0.is_empty() {
            return None;
        }
        let origin = headers.get(ORIGIN)?;
        self.0.iter().position(|allowed| allowed == origin)
    }

    /// Tells the page of that origin what it may read, and caches that the answer depends on it.
    pub(super) fn add(&self, headers: &mut HeaderMap, place: Option<usize>) {
        if self.0.is_empty() {
            return;
        }
        let vary = match headers.get(VARY).and_then(|vary| vary.to_str().ok()) {
            None => Some(BY_ORIGIN.clone()),
            Some(vary) => HeaderValue::try_from(format!("{vary}, Origin")).ok(),
        };
        if let Some(vary) = vary {
            headers.insert(VARY, vary);
        }
        if let Some(origin) = place.and_then(|place| self.0.get(place)) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ.clone());
        }
    }
}

/// The answer to a browser that asks beforehand, if that is what it does, and there is something at the path.
pub(super) fn preflight(headers: &HeaderMap, methods: Option<&str>) -> Option<HttpResponse> {
    headers.get(ACCESS_CONTROL_REQUEST_METHOD)?;
    let mut answer = HttpResponse::NoContent();
    answer.insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods?));
    answer.insert_header((ACCESS_CONTROL_ALLOW_HEADERS, SENT.clone()));
    answer.insert_header((ACCESS_CONTROL_MAX_AGE, REMEMBERED.clone()));
    let asked_by = HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers");
    answer.insert_header((VARY, asked_by));
    Some(answer.finish())
}

/// Whether a page of another site has its visitor's browser send a form, which any page may without asking before. Browsers
/// tell by a field that no page can set (W3C Fetch Metadata, 2.3).
pub(super) fn is_foreign_form(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") && media_type(headers) == FORM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_or_explained() {
        let read = |text: &str| text.parse::<Origins>();
        assert_eq!(read(""), Ok(Origins::default()));
        assert_eq!(read("https://a.example, http://localhost:5173,").unwrap().0.len(), 2);
        for (text, words) in [
            ("*", "name each origin"),
            ("https://a.example,*", "name each origin"),
            ("null", "is no origin"),
            ("a.example", "is no origin"),
            ("ftp://a.example", "is no origin"),
            ("https://a.example/", "browsers would write `https://a.example`"),
            ("https://a.example/shop", "browsers would write"),
            ("https://A.example", "browsers would write `https://a.example`"),
            ("https://a.example:443", "browsers would write `https://a.example`"),
            ("https://user@a.example", "browsers would write"),
            ("https://*.example", "is no origin"),
        ] {
            assert!(read(text).unwrap_err().contains(words), "{text}: {:?}", read(text));
        }
    }

    #[test]
    fn an_origin_is_found_as_a_whole_and_in_no_other_way() {
        let origins: Origins = "https://a.example,http://localhost:5173".parse().unwrap();
        let find = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_str(origin).unwrap());
            origins.find(&headers)
        };
        assert_eq!((find("https://a.example"), find("http://localhost:5173")), (Some(0), Some(1)));
        for other in ["http://a.example", "https://a.example.evil.example", "https://evil-a.example", "null", ""] {
            assert_eq!(find(other), None, "{other}");
        }
        assert_eq!(origins.find(&HeaderMap::new()), None);
    }

    #[test]
    fn an_answer_that_depends_on_more_says_so_in_one_line() {
        let origins: Origins = "https://a.example".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("authorization"));
        origins.add(&mut headers, None);
        let told: Vec<_> = headers.get_all(VARY).collect();
        assert_eq!(told, ["authorization, Origin"]);
        assert!(!headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}
