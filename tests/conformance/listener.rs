//! The internal listener itself: who gets in, and how it stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use eshopz::wire::{Served, product};
use eshopz_kernel::{Fault, OrderId, VariantId};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, VariantSnapshot};
use tokio::sync::Notify;

use super::{Away, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_a_token() {
    let world = World::open().await;
    let away = world.listen(Vec::new());
    let base = format!("http://{}", away.listener.address());
    let client = reqwest::Client::new();
    let paths = [
        "/",
        "/api/v1/products",
        "/internal/v1/user/verifying_keys",
        "/internal/v1/order/x",
        "/metrics",
        "/health/ready",
    ];
    for path in paths {
        for (token, status) in [("", 401), ("x.y.z", 401)] {
            let answer = client.post(format!("{base}{path}")).bearer_auth(token).body("null").send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
    }
    let ask = async |audience: &str, path: &str| {
        let token = away.keys.token("test", audience).unwrap();
        client.post(format!("{base}{path}")).bearer_auth(token).body("null").send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("user", "/internal/v1/user/verifying_keys").await, 200);
    assert_eq!(ask("product", "/internal/v1/user/verifying_keys").await, 401);
    assert_eq!(ask("order", "/internal/v1/order/nothing").await, 503);
    // What cannot be read is refused as such, and is no accident of the listener's.
    assert_eq!(ask("user", "/internal/v1/user/user").await, 400);
    away.listener.stop().await;
}

/// A module whose answer takes as long as it is told.
#[derive(Default)]
struct Slow {
    begun: Notify,
    go: Notify,
}

#[async_trait]
impl ProductApi for Slow {
    async fn variants(&self, _: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        Ok(Vec::new())
    }

    async fn reserve(&self, _: ReserveStock) -> Result<(), Fault> {
        Ok(())
    }

    async fn commit_reservation(&self, _: OrderId) -> Result<(), Fault> {
        self.begun.notify_one();
        self.go.notified().await;
        Ok(())
    }

    async fn release(&self, _: OrderId) -> Result<(), Fault> {
        Ok(())
    }

    async fn give_back(&self, _: GiveBackStock) -> Result<(), Fault> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_calls_and_not_for_connections() {
    let slow = Arc::new(Slow::default());
    let away = Away::new(Served { product: Some(slow.clone()), ..Served::default() });
    let client = product::client(away.neighbour("product"));
    let address = away.listener.address();
    client.variants(&[]).await.unwrap();
    let call = tokio::spawn(async move { client.commit_reservation(OrderId::new()).await });
    slow.begun.notified().await;
    away.listener.leave();
    let stop = tokio::spawn(away.listener.stop());
    // Nobody new gets in, and who is in is not cut.
    let other = reqwest::Client::new();
    while other.post(format!("http://{address}/internal/v1/product/variants")).send().await.unwrap().status() != 503 {
        tokio::task::yield_now().await;
    }
    assert!(!call.is_finished() && !stop.is_finished());
    let released = Instant::now();
    slow.go.notify_one();
    call.await.unwrap().unwrap();
    stop.await.unwrap();
    assert!(released.elapsed() < Duration::from_secs(8), "idle connections held the stop: {:?}", released.elapsed());
    // Its threads end a moment after they were told to.
    let stopped = Instant::now();
    while other.post(format!("http://{address}/")).send().await.is_ok() {
        assert!(stopped.elapsed() < Duration::from_secs(10), "the port is not free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
