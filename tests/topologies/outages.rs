//! A part of a deployment is away, or hung: the rest stays what it is, and takes it back by itself.

use std::time::{Duration, Instant};

use eshopz::modules::Module;
use futures::future::join_all;
use serde_json::{Value, json};

use super::every_slot;
use crate::support::{Answer, Deployment, Load, Plan, Shop, Topology, address};

/// Every answer of a module whose neighbour is hung comes within this time.
const BOUND: Duration = Duration::from_secs(14);
/// And without Redis ninety-nine of a hundred answers within this, by a debug build on a machine of two cores.
const BOUND_WITHOUT_REDIS: Duration = Duration::from_secs(2);

const HITS: [&str; 3] = ["eshopz_cache_requests_total", "level=\"redis\"", "outcome=\"hit\""];

async fn everywhere(deployment: &Deployment, parts: &[&str]) -> f64 {
    join_all(deployment.processes.iter().map(|process| process.metric(parts))).await.into_iter().sum()
}

async fn until_hit_again(deployment: &Deployment, before: f64) {
    let started = Instant::now();
    while everywhere(deployment, &HITS).await <= before {
        assert!(started.elapsed() < Duration::from_secs(20), "nobody finds anything in Redis");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_dies_under_load_and_comes_back() {
    let _slot = every_slot().await;
    let mut deployment = Deployment::start(Plan { redis: true, ..Plan::of(Topology::five()) }).await;
    let load = Load::start(&deployment, 4, 6).await;
    until_hit_again(&deployment, 0.0).await;
    load.go_on(15).await;
    deployment.redis.as_mut().unwrap().kill();
    load.go_on(40).await;
    let without = everywhere(&deployment, &HITS).await;
    load.go_on(10).await;
    assert_eq!(everywhere(&deployment, &HITS).await, without, "somebody found something in a dead Redis");
    deployment.redis.as_mut().unwrap().restart();
    until_hit_again(&deployment, without).await;
    load.go_on(15).await;
    // And one that takes connections but never answers.
    deployment.redis.as_ref().unwrap().stop();
    load.go_on(25).await;
    deployment.redis.as_ref().unwrap().cont();
    let before = everywhere(&deployment, &HITS).await;
    until_hit_again(&deployment, before).await;
    let tally = load.stop().await;
    eprintln!("Redis dead, back, hung, and back: {tally}");
    assert!(tally.failures.is_empty(), "{tally}\n{}", tally.failures.join("\n"));
    assert_eq!(tally.unavailable, 0, "{tally}");
    assert!(tally.percentile(99) < BOUND_WITHOUT_REDIS, "{tally}");
    tally.assert_orders(&deployment).await;
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}

/// An answer, and how long it took.
async fn timed(shop: &Shop, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
    let asked = Instant::now();
    let answer = shop.send(method, path, headers, body).await;
    let took = asked.elapsed();
    assert!(took < BOUND, "{method} {path}: {took:.1?} for {} {}", answer.status, answer.text);
    answer
}

fn is_clean_503(answer: &Answer) -> bool {
    answer.status == 503
        && answer.header("content-type") == "application/problem+json"
        && !answer.header("retry-after").is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_neighbour_does_not_take_the_others_along() {
    let _slot = every_slot().await;
    let mut deployment = Deployment::start(Plan::of(Topology::five())).await;
    let admin = deployment.admin().await;
    let (shirt, hat) = (
        deployment.product(&admin, "Linen Shirt", 4_900, 100).await,
        deployment.product(&admin, "Straw Hat", 2_500, 100).await,
    );
    let ada = deployment.register(&deployment.email("ada")).await;
    let me = [("authorization", ada.as_str())];
    let (cart, token) = deployment.guest_cart(&[(&shirt, 1)]).await;
    let of_cart = [("x-cart-token", token.as_str())];
    let items = format!("/api/v1/carts/{cart}/items");
    let line = json!({"variant_id": hat, "quantity": 1});
    let order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let keyed = [of_cart[0], ("idempotency-key", "order")];

    deployment.process(Module::Product).signal("STOP");
    let since = Instant::now();
    let mut refused = 0;
    while deployment.metric(Module::Cart, &["eshopz_wire_breaker_open", "neighbour=\"product\""]).await < 1.0 {
        assert!(since.elapsed() < Duration::from_secs(60), "the breaker stays shut");
        let shop = &deployment.shop;
        let asked = (0..4).map(|_| timed(shop, "POST", &items, &of_cart, Some(line.clone())));
        let (added, placed, mine) = futures::join!(
            join_all(asked),
            timed(shop, "POST", "/api/v1/orders", &keyed, Some(order.clone())),
            join_all(
                ["/api/v1/users/me", "/api/v1/orders", "/api/v1/payments"]
                    .map(|path| timed(shop, "GET", path, &me, None))
            ),
        );
        assert!(mine.iter().all(|answer| answer.status == 200), "{mine:?}");
        assert!(added.iter().all(is_clean_503), "{added:?}");
        assert!(is_clean_503(&placed), "{placed:?}");
        refused += 1;
    }
    let opened = since.elapsed();
    // Nobody waits any more, but for the one in a while who tries whether it is back.
    let mut took = Vec::new();
    for _ in 0..20 {
        let asked = Instant::now();
        assert!(is_clean_503(&timed(&deployment, "POST", &items, &of_cart, Some(line.clone())).await));
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    assert!(took[10] < Duration::from_millis(500), "an open breaker lets people wait: {took:?}");

    deployment.process(Module::Product).signal("CONT");
    let back = Instant::now();
    loop {
        let answer = timed(&deployment, "POST", &items, &of_cart, Some(line.clone())).await;
        if answer.status == 201 {
            break;
        }
        assert!(is_clean_503(&answer) && back.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    eprintln!(
        "a hung neighbour: breaker open after {opened:.1?} and {refused} rounds, back {:.1?} after it went on",
        back.elapsed()
    );
    let shut = deployment.metric(Module::Cart, &["eshopz_wire_breaker_open", "neighbour=\"product\""]).await;
    assert!(shut < 1.0, "the breaker stays open");
    let again = Instant::now();
    let placed = loop {
        let answer = timed(&deployment, "POST", "/api/v1/orders", &keyed, Some(order.clone())).await;
        if answer.status == 201 {
            break answer.body;
        }
        assert!(answer.status == 503 && again.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(placed["status"], "paid");
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}
