//! The metrics: what is declared, what is measured and what a shop tells are the same, and nobody can make them many.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use eshopz::meters;
use eshopz_platform::meters::Metric;
use eshopz_testkit::redis::TestRedis;
use futures::StreamExt as _;
use serde_json::json;

use crate::support::{Server, address, id};

fn declared() -> BTreeMap<&'static str, &'static Metric> {
    meters::groups().into_iter().flat_map(|(_, metrics)| metrics).map(|metric| (metric.name, metric)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_document_is_what_is_declared() {
    let committed = fs::read_to_string(root().join("docs/metrics.md")).unwrap_or_default();
    assert!(
        committed == meters::document(),
        "docs/metrics.md has drifted; mend with `cargo run -- metrics > docs/metrics.md`"
    );
}

/// Every source file of the program.
fn sources() -> Vec<PathBuf> {
    let mut folders = vec![root().join("src"), root().join("modules")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["tests", "testkit", "bench"].contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".rs") {
                files.push(path);
            }
        }
    }
    files
}

/// Names with the kinds of the macros that measure them.
fn measured() -> BTreeSet<(String, &'static str)> {
    let mut found = BTreeSet::new();
    for file in sources() {
        let text = fs::read_to_string(file).unwrap();
        for kind in ["counter", "gauge", "histogram"] {
            for call in text.split(&format!("{kind}!(")).skip(1) {
                if let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    found.insert((name.to_owned(), kind));
                }
            }
        }
    }
    found
}

#[test]
fn what_is_declared_is_measured_and_nothing_else_is() {
    let of_others = |name: &str| name.starts_with("process_");
    let declared: BTreeSet<_> = declared()
        .into_values()
        .filter(|metric| !of_others(metric.name))
        .map(|metric| (metric.name.to_owned(), metric.kind.name()))
        .collect();
    let measured = measured();
    let differing: Vec<_> = declared.symmetric_difference(&measured).collect();
    assert!(differing.is_empty(), "declared or measured, but not both: {differing:?}");
}

/// A series: its metric, and its labels.
fn series(line: &str) -> (&str, BTreeMap<&str, &str>) {
    let (name, rest) = line.split_once('{').unwrap_or_else(|| panic!("no labels in {line}"));
    let (labels, _) = rest.rsplit_once("\"} ").unwrap_or_else(|| panic!("no value in {line}"));
    (name, labels.split("\",").map(|label| label.split_once("=\"").unwrap()).collect())
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

#[tokio::test]
async fn a_shop_tells_what_is_declared() {
    let redis = TestRedis::start();
    let shop = Server::start(&["--redis-url", &redis.url()]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    shop.register(&shop.email("ada")).await;
    shop.guest_order(&shirt, 2, Some("pm_card_visa")).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
        "payment_method": "pm_card_chargeDeclined",
    });
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "declined")];
    shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(402);
    let product = shop.get("/api/v1/products", &[]).await["items"][0].clone();
    shop.get(&format!("/api/v1/products/{}", id(&product)), &[]).await;
    shop.is_told_all().await;
    let text = shop.metrics().await;
    let declared = declared();
    let mut seen = BTreeSet::new();
    for line in lines(&text) {
        let (told, labels) = series(line);
        let parts = ["_bucket", "_sum", "_count"];
        let base = parts.iter().find_map(|part| told.strip_suffix(part)).filter(|base| declared.contains_key(base));
        let metric = declared.get(base.unwrap_or(told)).unwrap_or_else(|| panic!("{told} is not declared"));
        let mut expected: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).chain(["module"]).collect();
        expected.extend(told.ends_with("_bucket").then_some("le"));
        assert_eq!(labels.keys().copied().collect::<BTreeSet<_>>(), expected, "{line}");
        for label in metric.labels.iter().filter(|label| !label.values.is_empty()) {
            assert!(label.values.contains(&labels[label.name]), "{} of {line}", label.name);
        }
        if seen.insert(metric.name) {
            for about in [
                format!("# HELP {} {}", metric.name, metric.about),
                format!("# TYPE {} {}", metric.name, metric.kind.name()),
            ] {
                assert!(text.lines().any(|line| line == about), "no `{about}`");
            }
        }
    }
    // What one process without queues, replicas, outages and secrets of AWS does not have.
    let elsewhere = ["eshopz_sqs_", "eshopz_wire_", "eshopz_secrets_"];
    let only_then = ["eshopz_http_shut_total", "process_virtual_memory_max_bytes", "eshopz_user_letters_total"];
    let missing: Vec<_> = declared
        .keys()
        .filter(|name| !seen.contains(*name) && !only_then.contains(name))
        .filter(|name| !elsewhere.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    assert!(missing.is_empty(), "declared, and not told: {missing:?}");
    for (name, labels, least) in [
        ("eshopz_payments_total", vec!["outcome=\"failed\"", "reason=\"card_declined\""], 1.0),
        ("eshopz_payment_revenue_minor_total", vec!["direction=\"captured\"", "currency=\"USD\""], 9_800.0),
        ("eshopz_orders_total", vec!["status=\"paid\""], 1.0),
        ("eshopz_db_statement_duration_seconds_count", vec!["module=\"order\"", "statement=\"INSERT"], 1.0),
        ("eshopz_db_pool_connections", vec!["module=\"cart\"", "pool=\"writer\""], 1.0),
        ("eshopz_db_acquire_duration_seconds_count", vec!["module=\"user\"", "pool=\"writer\""], 1.0),
        ("eshopz_user_hash_duration_seconds_count", vec!["step=\"hashing\""], 2.0),
        ("eshopz_cache_requests_total", vec!["module=\"product\"", "level=\"redis\""], 1.0),
        ("process_resident_memory_bytes", vec!["module=\"all\""], 1_000_000.0),
        ("eshopz_build_info", vec!["version="], 1.0),
    ] {
        let parts: Vec<&str> = [name].into_iter().chain(labels).collect();
        assert!(shop.metric(&parts).await >= least, "{parts:?} in:\n{text}");
    }
    assert!(text.contains("eshopz_carts_abandoned_total{module=\"cart\"} 0"), "counters begin with 0:\n{text}");
}

#[tokio::test]
async fn a_shop_that_is_to_measure_nothing_tells_nothing() {
    let shop = Server::start(&["--measuring", "off"]).await;
    shop.get("/api/v1/products", &[]).await;
    assert_eq!(shop.metrics().await, "");
}

#[tokio::test]
async fn nobody_makes_metrics_many() {
    const ODD: usize = 10_000;
    let shop = Server::start(&[]).await;
    let count = async || lines(&shop.metrics().await).count();
    let client = reqwest::Client::new();
    let odd = async |number: usize| {
        let (path, method) = match number % 5 {
            0 => (format!("/odd/{number}"), "GET"),
            1 => (format!("/api/v1/products/no-such-{number}"), "GET"),
            2 => (format!("/api/v1/carts/{number}/items/%22%0A{number}"), "DELETE"),
            3 => (format!("/api/v1/products?q=word{number}&page{number}=1"), "GET"),
            _ => (format!("/api/v1/nothing/{number}"), "FROBNICATE"),
        };
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{}{path}", shop.base)).body(json!({}).to_string());
        request = request.header("x-request-id", format!("odd-{number}")).header("user-agent", format!("odd/{number}"));
        request.send().await.unwrap().status()
    };
    let ask = async |numbers: std::ops::Range<usize>| {
        futures::stream::iter(numbers).map(odd).buffer_unordered(8).for_each(async |_| {}).await;
    };
    ask(0..100).await;
    let before = count().await;
    ask(100..ODD).await;
    let after = count().await;
    // A statement, a job or a level of a cache may have come up meanwhile.
    assert!(after < before + 150, "{before} series, after {ODD} odd requests {after}");
}
