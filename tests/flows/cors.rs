//! Pages of other origins: those on the list may call the API from a browser, the others may not.

use crate::support::{Answer, Server, is_problem};

const PAGE: &str = "https://shop.example.com";

async fn preflight(shop: &Server, path: &str, origin: &str, method: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type,idempotency-key"),
    ];
    shop.send("OPTIONS", path, &headers, None).await
}

/// The members of a list in a header field, in small letters.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    answer.header(name).split(',').map(|member| member.trim().to_lowercase()).collect()
}

#[track_caller]
fn has_none(answer: &Answer) {
    let cors = answer.headers.keys().filter(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(cors.collect::<Vec<_>>(), Vec::<&str>::new(), "{}", answer.status);
}

#[tokio::test]
async fn a_page_on_the_list_may_call_and_no_other() {
    let shop = Server::start(&["--cors-origins", "http://localhost:5173,https://shop.example.com"]).await;
    let asked = preflight(&shop, "/api/v1/orders", PAGE, "POST").await;
    assert_eq!((asked.status, asked.text.as_str()), (204, ""));
    assert_eq!(asked.header("access-control-allow-origin"), PAGE);
    let methods = list(&asked, "access-control-allow-methods");
    assert!(methods.contains(&"post".to_owned()) && methods.contains(&"get".to_owned()), "{methods:?}");
    assert!(!methods.contains(&"delete".to_owned()), "an order is not deleted: {methods:?}");
    let sent = list(&asked, "access-control-allow-headers");
    for name in [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "x-cart-token",
        "x-order-token",
        "x-request-id",
        "traceparent",
    ] {
        assert!(sent.contains(&name.to_owned()), "{name} may not be sent");
    }
    assert!(asked.header("access-control-max-age").parse::<u32>().unwrap() >= 600);
    assert!(list(&asked, "vary").contains(&"origin".to_owned()));
    assert_eq!(asked.header("access-control-allow-credentials"), "");

    for (path, status) in [("/api/v1/products", 200), ("/api/v1/users/me", 401), ("/api/v1/nothing", 404)] {
        let answer = shop.send("GET", path, &[("origin", PAGE)], None).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin").as_str()), (status, PAGE));
        let read = list(&answer, "access-control-expose-headers");
        for name in ["etag", "location", "retry-after", "x-request-id", "ratelimit", "idempotency-replayed"] {
            assert!(read.contains(&name.to_owned()), "{name} may not be read");
        }
        assert!(list(&answer, "vary").contains(&"origin".to_owned()));
    }
    for origin in ["https://evil.example", "https://shop.example.com.evil.example", "http://shop.example.com", "null"] {
        let answer = preflight(&shop, "/api/v1/orders", origin, "POST").await;
        has_none(&answer);
        assert!(list(&answer, "vary").contains(&"origin".to_owned()));
        has_none(&shop.send("GET", "/api/v1/products", &[("origin", origin)], None).await);
    }
    let nobodys = shop.send("GET", "/api/v1/products", &[], None).await;
    has_none(&nobodys);
    assert_eq!(list(&nobodys, "vary"), ["authorization", "origin"], "a cache may not give it to a page");
    is_problem(&preflight(&shop, "/api/v1/nothing", PAGE, "GET").await, &[404], "not_found");
}

#[tokio::test]
async fn by_default_no_page_of_another_origin_may_call() {
    let shop = Server::start(&[]).await;
    let asked = preflight(&shop, "/api/v1/orders", PAGE, "POST").await;
    is_problem(&asked, &[405], "method_not_allowed");
    has_none(&asked);
    let answer = shop.send("GET", "/api/v1/products", &[("origin", PAGE)], None).await;
    has_none(&answer);
    assert_eq!((answer.status, list(&answer, "vary")), (200, vec!["authorization".to_owned()]));
}

/// A form needs no preflight: any page could have its visitors try passwords until an account is blocked.
#[tokio::test]
async fn no_page_of_another_site_sends_a_form() {
    let shop = Server::start(&["--cors-origins", PAGE, "--sign-in-failures-per-account", "1"]).await;
    let sign_in = async |site: &str, origin: &str, form: &str| {
        let headers = [("sec-fetch-site", site), ("origin", origin), ("content-type", form)];
        let body = "grant_type=password&username=ada%40example.com&password=not-the-one";
        shop.raw("POST", "/api/v1/auth/token", &headers, body.into()).await
    };
    for form in ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8"] {
        let refused = sign_in("cross-site", "https://evil.example", form).await;
        is_problem(&refused, &[403], "cross_site");
        has_none(&refused);
    }
    let form = "application/x-www-form-urlencoded";
    is_problem(&sign_in("cross-site", PAGE, form).await, &[401], "invalid_credentials");
    // What was refused before did not count, what came now did.
    is_problem(&sign_in("same-origin", "https://shop.test", form).await, &[429], "rate_limited");
}
