//! How the process comes up, says what it is, and goes down.

use std::process::Command;

use eshopz_testkit::db::TestDb;
use serde_json::json;

use crate::support::{self, Server, free_port, text};

#[tokio::test]
async fn it_says_how_it_is() {
    let mut shop = Server::start(&[]).await;
    let client = reqwest::Client::new();
    let get = async |path: &str| client.get(format!("{}{path}", shop.management)).send().await.unwrap();
    assert_eq!(get("/health/live").await.status(), 200);
    assert_eq!(get("/health/ready").await.status(), 200);
    let info: serde_json::Value = get("/info").await.json().await.unwrap();
    assert_eq!(info["modules"], json!(["user", "product", "cart", "payment", "order"]));
    shop.send("GET", "/api/v1/products", &[], None).await.expect(200);
    let metrics = get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("eshopz_http_request_duration_seconds_bucket{"), "{metrics}");
    let docs = shop.send("GET", "/docs/", &[], None).await;
    assert!(docs.text.contains("swagger-ui"), "{}", docs.text);
    let document = shop.send("GET", "/openapi.json", &[], None).await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let health = shop.send("GET", "/health/live", &[], None).await;
    assert_eq!(health.status, 404, "the management paths are not on the public listener");
    assert_eq!(shop.terminate().await, 0);
}

#[tokio::test]
async fn who_asks_too_often_is_told_so_like_everybody_else() {
    let shop = Server::start(&["--rate-limit", "on", "--rate-limit-per-minute", "1"]).await;
    for _ in 0..2 {
        shop.send("GET", "/api/v1/categories", &[], None).await;
    }
    let refused = shop.send("GET", "/api/v1/categories", &[("x-request-id", "the-third")], None).await;
    assert_eq!((refused.status, refused.body["code"].as_str()), (429, Some("rate_limited")));
    assert_eq!(
        (&refused.body["request_id"], refused.header("x-request-id").as_str()),
        (&json!("the-third"), "the-third")
    );
    assert!(!refused.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_weak_admin_is_refused_in_words() {
    let db = TestDb::new(&support::MODULES).await;
    for (email, password, field) in
        [("nobody", "a long walk by the sea\n", "email must"), ("ann@example.com", "short\n", "password must")]
    {
        let refused = support::run(&db.url, &["admin", "create", "--email", email], password);
        assert_eq!(refused.status.code(), Some(2));
        assert!(text(&refused).contains(field), "{}", text(&refused));
    }
}

#[tokio::test]
async fn it_refuses_a_schema_that_it_does_not_know() {
    let db = TestDb::new(&support::MODULES).await;
    let down = support::run(&db.url, &["migrate", "down", "--modules", "order"], "");
    assert!(down.status.success(), "{}", text(&down));
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let refused = support::run(&db.url, &["serve", "--listen", &listen, "--startup-seconds", "1"], "");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("eshopz migrate up"), "{}", text(&refused));
    let shop = Server::start_on(db, &["--migrate"]).await;
    shop.send("GET", "/api/v1/products", &[], None).await.expect(200);
}

/// The private server: from nothing, a second time, and after everything was killed.
#[tokio::test]
async fn with_nothing_configured_it_brings_its_own_database() {
    let folder = std::env::temp_dir().join(format!("eshopz-embedded-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let port = free_port();
    let start = || {
        support::eshopz("", &["serve", "--listen", &format!("127.0.0.1:{port}")]).current_dir(&folder).spawn().unwrap()
    };
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{}/health/ready", port + 6_000);
    let ready = async || {
        for _ in 0..600 {
            if client.get(&url).send().await.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("not ready in a minute");
    };
    for ending in ["-KILL", "-TERM", "-TERM"] {
        let mut child = start();
        ready().await;
        let seeded = support::eshopz("", &["verify"]).current_dir(&folder).output().unwrap();
        assert!(seeded.status.success(), "{}", text(&seeded));
        Command::new("kill").args([ending, &child.id().to_string()]).status().unwrap();
        child.wait().unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
