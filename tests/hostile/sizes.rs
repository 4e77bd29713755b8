//! Too much of everything: what is small when it is sent and large when it is read, what is long, deep or many.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::places::{pointers, with};
use super::{Attacked, is_clean};
use crate::support::is_problem;

/// A gzip of a million zeros is a thousand bytes; nobody unpacks it.
#[tokio::test]
async fn nothing_is_unpacked() {
    let attacked = Attacked::start().await;
    let admin = attacked.admin.as_str();
    for encoding in ["gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "x"] {
        let headers = [("authorization", admin), ("content-type", "application/json"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/products", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
        let headers = [("authorization", admin), ("content-type", "text/csv"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/products/import", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("content-encoding", encoding)];
        let answer = attacked.shop.raw("POST", "/api/v1/auth/token", &headers, vec![0x1f, 0x8b, 8, 0]).await;
        is_problem(&answer, &[415], "unsupported_media_type");
    }
}

/// Every text has an end, wherever it is stored.
#[tokio::test]
async fn every_text_has_a_longest() {
    let attacked = Attacked::start().await;
    for operation in attacked.with_body() {
        for place in pointers(&operation.body, Value::is_string) {
            for letter in ["x", "é", "𝕊", "%", "<"] {
                let body = with(&operation.body, &place, json!(letter.repeat(200_000)));
                let answer = attacked.send(&operation, body.to_string().into_bytes()).await;
                let sent = format!("{} {} {place}", operation.method, operation.template);
                is_clean(&answer, &sent);
                assert_eq!(answer.status, 422, "{sent} takes 200,000 of `{letter}`: {}", answer.text);
            }
        }
    }
    for operation in attacked.operations() {
        for (name, schema) in operation.queries.iter().filter(|(_, schema)| schema["type"] == "string") {
            let path = format!("{}?{name}={}", operation.path, "x".repeat(20_000));
            let answer = attacked.get(&path).await;
            is_clean(&answer, &path);
            assert!([414, 422].contains(&answer.status), "{name} takes 20,000 letters ({schema}): {}", answer.text);
        }
    }
    attacked.is_unharmed();
}

/// Depth, members and names that meet in one place of a table.
#[tokio::test]
async fn no_body_is_too_much() {
    let attacked = Attacked::start().await;
    let started = Instant::now();
    let mut sent = 0;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let members: String = (0..60_000).map(|number| format!("\"m{number}\":1,")).collect();
    let same = "\"title\":\"x\",".repeat(60_000);
    for operation in attacked.with_body() {
        let bodies = [
            deep.clone(),
            "[".repeat(100_000),
            deep_objects.clone(),
            format!("{{{members}\"x\":1}}"),
            format!("{{{same}\"x\":1}}"),
            format!("[{}1]", "0,".repeat(100_000)),
            "\"\\u0000\"".to_owned(),
            "{}".repeat(100_000),
        ];
        for body in bodies {
            let answer = attacked.send(&operation, body.into_bytes()).await;
            is_clean(&answer, &operation.template);
            assert!([400, 404, 413, 422].contains(&answer.status), "{}: {}", operation.template, answer.text);
            sent += 1;
        }
        for place in pointers(&operation.body, Value::is_string) {
            let body = with(&operation.body, &place, json!("@here@")).to_string().replace("\"@here@\"", &deep);
            let answer = attacked.send(&operation, body.into_bytes()).await;
            is_clean(&answer, &operation.template);
            assert_eq!(answer.status, 422, "{} {place}: {}", operation.template, answer.text);
            sent += 1;
        }
    }
    let options: Value =
        (0..50_000).map(|number| (format!("o{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let product =
        json!({"title": "x", "variants": [{"price": {"amount": 1, "currency": "USD"}, "option_values": options}]});
    let headers = [("authorization", attacked.admin.as_str())];
    let answer = attacked.shop.send("POST", "/api/v1/products", &headers, Some(product)).await;
    assert_eq!(answer.status, 422, "{:.300}", answer.text);
    for query in ["tag=a&".repeat(4_000), "a=1&".repeat(5_000), "&".repeat(20_000), "=".repeat(20_000)] {
        let answer = attacked.get(&format!("/api/v1/products?{query}")).await;
        is_clean(&answer, "a long query");
        assert!([200, 414, 422].contains(&answer.status), "{:.300}", answer.text);
    }
    // Each takes milliseconds; what grows by the square takes minutes.
    assert!(started.elapsed() < Duration::from_millis(500) * (sent + 10), "{:?} for {sent}", started.elapsed());
    attacked.is_unharmed();
}
