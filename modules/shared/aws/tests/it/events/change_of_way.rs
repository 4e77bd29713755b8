//! From `--events local` to `--events sns` and back, while events are under way.

use std::sync::Arc;

use async_trait::async_trait;
use eshopz_kernel::{EventEnvelope, Fault};
use eshopz_platform::events::{LocalTransport, Transport};

use super::shop::{Mood, Running, Shop, sdk, until};

/// A way that is closed: nobody there, or no network.
struct Closed;

#[async_trait]
impl Transport for Closed {
    async fn deliver(&self, _listener: &str, _event: &EventEnvelope) -> Result<(), Fault> {
        Err(Fault::internal("closed"))
    }
}

#[tokio::test]
async fn what_was_meant_for_listeners_reaches_them_by_the_topic() {
    let shop = Shop::with_topics(&["store.count", "audit.note"], 12).await;
    shop.publish(1).await;
    let local = shop.local_relay(Arc::new(Closed));
    until("it is due for two", async || shop.count("outbox_deliveries WHERE attempts > 0").await == 2).await;
    local.stop().await;

    let (store, audit) = (shop.taker("store.count"), shop.taker("audit.note"));
    let running = [shop.relay(), shop.consume("store", &[store]), shop.consume("audit", &[audit])];
    shop.publish(2).await;
    until("both have both", async || shop.count("effects").await == 4).await;
    until("nothing is left", async || shop.count("outbox_deliveries").await == 0).await;
    for one in running {
        one.stop().await;
    }
    assert_eq!(shop.count("(SELECT DISTINCT listener, number FROM effects) AS each").await, 4);
    assert_eq!(shop.count("outbox WHERE published_at IS NOT NULL").await, 2);
}

#[tokio::test]
async fn what_was_meant_for_the_topic_reaches_the_listeners_without_it() {
    let mut shop = Shop::with_topics(&["store.count", "audit.note"], 12).await;
    let (store, audit) = (shop.taker("store.count"), shop.taker("audit.note"));
    // One is in the queues already, and nobody has taken it.
    let relay = shop.relay();
    shop.publish(1).await;
    until("it is published", async || shop.count("outbox WHERE published_at IS NOT NULL").await == 1).await;
    relay.stop().await;
    // Another one never got there.
    let there = std::mem::replace(&mut shop.sdk, sdk("http://127.0.0.1:9").await);
    let relay = shop.relay();
    shop.publish(2).await;
    until("it waits", async || shop.count("outbox_deliveries WHERE listener = 'sns' AND attempts > 0").await == 1)
        .await;
    relay.stop().await;
    shop.sdk = there;

    // One listener is sick at first: the topic's delivery stays until all have had it.
    audit.feel(Mood::Failing);
    let local = shop.local_relay(Arc::new(LocalTransport::new([
        Arc::new(store.clone()) as Arc<dyn eshopz_platform::events::Listener>,
        Arc::new(audit.clone()),
    ])));
    shop.publish(3).await;
    until("one has what is in the outbox", async || shop.count("effects").await == 2).await;
    audit.feel(Mood::Well);
    until("both have it", async || shop.count("effects").await == 4).await;
    until("nothing is left there", async || shop.count("outbox_deliveries").await == 0).await;
    local.stop().await;

    // And what is in the queues is drained.
    for (module, taker) in [("store", store), ("audit", audit)] {
        let consumer = shop.consumer(module, &[taker]);
        Running::start(|shutdown| consumer.drain(shutdown)).ended().await;
    }
    assert_eq!(shop.count("effects").await, 6);
    assert_eq!(shop.count("(SELECT DISTINCT listener, number FROM effects) AS each").await, 6);
}

#[tokio::test]
async fn both_ways_at_once_lose_nothing() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let taker = shop.taker("store.count");
    let here: Arc<dyn eshopz_platform::events::Listener> = Arc::new(taker.clone());
    let running = [
        shop.relay(),
        shop.local_relay(Arc::new(LocalTransport::new([here]))),
        shop.consume("store", std::slice::from_ref(&taker)),
    ];
    for number in 0..60 {
        shop.publish(number).await;
    }
    until("all are in", async || shop.count("effects").await == 60).await;
    until("nothing is left", async || shop.count("outbox WHERE published_at IS NULL").await == 0).await;
    for one in running {
        one.stop().await;
    }
    assert_eq!(shop.count("effects").await, 60);
}
