//! Headers that would end a line, a request or a log.

use serde_json::json;

use super::paths::send;
use super::{Attacked, is_clean};
use crate::support::is_problem;

#[tokio::test]
async fn no_header_is_made_by_a_client() {
    let attacked = Attacked::start().await;
    let long = "a".repeat(129);
    for id in ["a b", "a%0d%0aSet-Cookie: x", "a\tb", "\u{e9}", "a;b", "\"a\"", "<a>", "a\u{1b}[31m", long.as_str(), ""]
    {
        let request =
            format!("GET /api/v1/nothing HTTP/1.1\r\nhost: x\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n");
        let answer = send(&attacked, request.as_bytes()).await;
        // What is no header at all is refused as a whole.
        assert!([400, 404].contains(&answer.status), "{id:?}: {}", answer.status);
        if answer.status == 404 {
            let own = answer.header("x-request-id").unwrap();
            assert!(own.len() == 36 && own != id, "{id:?}: {own}");
        }
        assert_eq!(answer.header("set-cookie"), None);
    }
    // Two requests in one, as far as a proxy in between may be of another opinion (request smuggling).
    for trick in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "content-length: -1\r\n\r\n",
        "content-length: +5\r\n\r\nhello",
        "content-length: 5, 5\r\n\r\nhello",
        "transfer-encoding: xchunked\r\n\r\n",
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "content-length: 99999999999999999999999\r\n\r\n",
        "x: a\0b\r\n\r\n",
        "x\r\n folded: a\r\n\r\n",
    ] {
        let request = format!(
            "POST /api/v1/carts HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\n{trick}"
        );
        let answer = send(&attacked, request.as_bytes()).await;
        assert!(
            answer.status == 0 || (400..500).contains(&answer.status),
            "{trick:?}: {} {}",
            answer.status,
            answer.body
        );
        assert_eq!(answer.body.matches("HTTP/1.1").count(), 0, "{trick:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn odd_headers_are_refused_or_passed_over() {
    let attacked = Attacked::start().await;
    let shop = &attacked.shop;
    let shirt = shop.product(&attacked.admin, "Linen Shirt", 1_900, 3).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let path = format!("/api/v1/carts/{cart}");
    let huge = "x".repeat(10_000);
    for value in ["' OR 1=1 --", "*", "\"\"", "W/\"", ",,,,", "\"1-", "é", huge.as_str()] {
        let mine =
            [("x-cart-token", token.as_str()), ("if-match", value), ("if-none-match", value), ("traceparent", value)];
        is_clean(&shop.send("GET", &path, &mine, None).await, value);
        for name in ["x-cart-token", "x-order-token"] {
            let answer = shop.send("GET", &path, &[(name, value)], None).await;
            is_clean(&answer, value);
            assert!([401, 404].contains(&answer.status), "{name}: {value:.20}: {}", answer.text);
        }
        let answer = shop.send("GET", "/api/v1/users/me", &[("authorization", &format!("Bearer {value}"))], None).await;
        is_problem(&answer, &[401], "invalid_token");
    }
    let order = json!({"cart_id": cart, "email": "a@example.com", "shipping_address": crate::support::address()});
    for key in ["a b", "é", "a\tb", "x".repeat(256).as_str()] {
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key)];
        let answer = shop.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await;
        super::is_refused_at(&answer, "/idempotency-key", key);
    }
}

/// Names that end up in a letter's head or a file's name stay what they are.
#[tokio::test]
async fn no_name_ends_a_line_of_a_letter() {
    let attacked = Attacked::start().await;
    let shop = &attacked.shop;
    for email in [
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com%0d%0aBcc:b@example.com",
        "a@example.com\0",
        "\u{202e}a@example.com",
        "a b@example.com",
        "a@example.com,b@example.com",
        "<a@example.com>",
    ] {
        let account = json!({"email": email, "password": "correct horse battery", "full_name": "x"});
        super::is_refused_at(&shop.send("POST", "/api/v1/users", &[], Some(account)).await, "/email", email);
        let answer = shop.send("POST", "/api/v1/auth/password-reset", &[], Some(json!({"email": email}))).await;
        super::is_refused_at(&answer, "/email", email);
    }
    let export = attacked.get("/api/v1/products/export").await;
    assert_eq!(export.header("content-disposition"), "attachment; filename=\"products.csv\"");
}
