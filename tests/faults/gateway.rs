//! A gateway that does not answer keeps nobody waiting but those who pay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;

use super::order;
use crate::support::{Deployment, Load, Plan, Shop, Topology};
use crate::topologies::every_slot;

/// So many wait for the gateway at any time.
const WAITING: usize = 30;
/// What a percentile of answers may be slower by, for the work that those who pay make.
const SLACK: Duration = Duration::from_millis(150);

/// Places orders whose payments hang, one after another.
async fn pay_in_vain(shop: &Shop, shirt: &str, stop: &AtomicBool, placed: &AtomicU64) {
    while !stop.load(Ordering::SeqCst) {
        let (cart, token) = shop.guest_cart(&[(shirt, 1)]).await;
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "order")];
        let made = shop.send("POST", "/api/v1/orders", &headers, Some(order(&cart, "pm_sandbox_timeout"))).await;
        let made = made.expect(201);
        assert_eq!((&made["status"], &made["payment"]["status"]), (&"pending_payment".into(), &"processing".into()));
        placed.fetch_add(1, Ordering::SeqCst);
    }
}

/// What ninety-nine of a hundred answers stay below.
async fn p99(shop: &Shop) -> Duration {
    let load = Load::start(shop, 2, 4).await;
    load.go_on(20).await;
    let tally = load.stop().await;
    assert!(tally.failures.is_empty() && tally.unavailable == 0, "{tally}\n{}", tally.failures.join("\n"));
    tally.percentile(99)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_gateway_slows_nobody_else() {
    let _slot = every_slot().await;
    let arguments = vec!["--gateway-timeout-ms", "3000"];
    let deployment = Deployment::start(Plan { arguments, ..Plan::of(Topology::combined()) }).await;
    let shop = Arc::new(&deployment.shop);
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100_000).await;
    let (stop, placed) = (AtomicBool::new(false), AtomicU64::new(0));
    let without = p99(&shop).await;
    let payers = join_all((0..WAITING).map(|_| pay_in_vain(&shop, &shirt, &stop, &placed)));
    let others = async {
        // The best of two: a machine that is busy with something else must not be taken for a slow shop.
        let mut with = Duration::MAX;
        for _ in 0..2 {
            with = with.min(p99(&shop).await);
        }
        stop.store(true, Ordering::SeqCst);
        with
    };
    let (_, with) = futures::join!(payers, others);
    let placed = placed.load(Ordering::SeqCst);
    eprintln!("{placed} payments hung: p99 of the others {with:.0?}, without {without:.0?}");
    assert!(placed >= 30, "only {placed} payments hung");
    assert!(with < without * 3 + SLACK, "p99 {with:?} instead of {without:?}");
    deployment.is_told_all().await;
    assert_eq!(deployment.verify(), Vec::<Value>::new());
}
