//! From the outbox of one process to the listeners of another.

use std::time::{Duration, Instant};

use eshopz_aws::events::{ConsumerConfig, SnsTransport};
use eshopz_kernel::Event as _;
use eshopz_platform::context::RequestContext;
use eshopz_platform::events::{Transport as _, outbox, topic};
use serde_json::json;

use super::shop::{Mood, Running, Shop, WidgetMade, WidgetPainted, event, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_reaches_every_listener_and_counts_once() {
    let shop = Shop::with_topics(&["store.count", "store.note", "audit.note"], 12).await;
    let store = [shop.taker("store.count"), shop.taker("store.note")];
    let audit = [shop.taker("audit.note")];
    let mut running = vec![shop.relay(), shop.relay()];
    for number in 0..150 {
        shop.publish(number).await;
    }
    outbox::publish(&mut shop.db.conn().await.unwrap(), &WidgetPainted {}).await.unwrap();
    // The listeners' processes come later, and two share a queue.
    running.extend([shop.consume("store", &store), shop.consume("store", &store), shop.consume("audit", &audit)]);
    until("all have had all", async || shop.count("effects").await == 450).await;
    until("all is published", async || shop.count("outbox WHERE published_at IS NULL").await == 0).await;
    for one in running {
        one.stop().await;
    }
    assert_eq!(shop.count("(SELECT DISTINCT listener, number FROM effects) AS each").await, 450);
    assert_eq!(shop.count("outbox_deliveries").await, 0);
}

#[tokio::test]
async fn an_event_that_is_published_twice_counts_once() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let (taker, transport) = (shop.taker("store.count"), SnsTransport::new(&shop.sdk, shop.topology.clone()));
    let made = event(WidgetMade::NAME, json!({"number": 1}));
    for _ in 0..3 {
        transport.deliver(topic::NAME, &made).await.unwrap();
    }
    let consumer = shop.consume("store", std::slice::from_ref(&taker));
    until("it came three times", async || taker.calls() >= 3).await;
    consumer.stop().await;
    assert_eq!(shop.count("effects").await, 1);
}

#[tokio::test]
async fn a_listener_works_in_the_trace_of_the_request() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let context = RequestContext { traceparent: Some(traceparent.clone()), ..RequestContext::default() };
    context.scope(shop.publish(1)).await;
    let taker = shop.taker("store.count");
    let running = [shop.relay(), shop.consume("store", std::slice::from_ref(&taker))];
    until("it is taken in", async || shop.count("effects").await == 1).await;
    assert_eq!(taker.traceparent(), Some(traceparent));
    for one in running {
        one.stop().await;
    }
}

#[tokio::test]
async fn what_one_listener_cannot_take_comes_again_without_harm_to_the_other() {
    let shop = Shop::with_topics(&["store.count", "store.note"], 12).await;
    let (sick, well) = (shop.taker("store.count"), shop.taker("store.note"));
    for mood in [Mood::Failing, Mood::Panicking, Mood::Hanging] {
        let (before, calls) = (shop.count("effects").await, sick.calls());
        sick.feel(mood);
        shop.publish(1).await;
        let running = [shop.relay(), shop.consume("store", &[sick.clone(), well.clone()])];
        until("it has been tried again", async || sick.calls() >= calls + 2).await;
        until("the other has it", async || shop.count("effects").await == before + 1).await;
        sick.feel(Mood::Well);
        until("both have it", async || shop.count("effects").await == before + 2).await;
        for one in running {
            one.stop().await;
        }
    }
    assert_eq!(shop.count("(SELECT DISTINCT listener, event_id FROM effects) AS each").await, 6);
}

#[tokio::test]
async fn another_takes_over_from_a_consumer_that_dies() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let (dying, heir) = (shop.taker("store.count"), shop.taker("store.count"));
    dying.feel(Mood::Hanging);
    shop.publish(1).await;
    let (relay, first) = (shop.relay(), shop.consume("store", std::slice::from_ref(&dying)));
    until("the first is at it", async || dying.calls() > 0).await;
    first.task.abort();
    assert!(first.task.await.unwrap_err().is_cancelled());
    let second = shop.consume("store", std::slice::from_ref(&heir));
    until("the second has done it", async || shop.count("effects").await == 1).await;
    assert!(heir.calls() > 0);
    for one in [relay, second] {
        one.stop().await;
    }
}

#[tokio::test]
async fn an_idle_consumer_stops_soon() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let taker = shop.taker("store.count");
    let config = ConsumerConfig { wait: ConsumerConfig::new(12).wait, ..shop.quick() };
    let consumer = shop.consumer_with("store", std::slice::from_ref(&taker), config);
    let consumer = Running::start(|shutdown| consumer.run(shutdown));
    let relay = shop.relay();
    shop.publish(1).await;
    until("it works", async || shop.count("effects").await == 1).await;
    let began = Instant::now();
    consumer.stop().await;
    assert!(began.elapsed() < Duration::from_secs(6), "the end of its poll is near: {:?}", began.elapsed());
    relay.stop().await;
}

#[tokio::test]
async fn what_comes_while_a_consumer_stops_is_there_for_the_next() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let taker = shop.taker("store.count");
    let config = ConsumerConfig { wait: Duration::from_secs(5), visibility: Duration::from_secs(60), ..shop.quick() };
    let consumer = shop.consumer_with("store", std::slice::from_ref(&taker), config);
    let (relay, consumer) = (shop.relay(), Running::start(|shutdown| consumer.run(shutdown)));
    shop.publish(1).await;
    until("it works, and waits for more", async || shop.count("effects").await == 1).await;
    let sqs = aws_sdk_sqs::Client::new(&shop.sdk);
    let url =
        sqs.get_queue_url().queue_name(shop.topology.names.queue("store")).send().await.unwrap().queue_url.unwrap();
    let body = serde_json::to_string(&event(WidgetMade::NAME, json!({"number": 2}))).unwrap();
    let sent = sqs.send_message().queue_url(&url).message_body(body).send();
    let ((), sent) = tokio::join!(consumer.stop(), sent);
    sent.unwrap();
    let (began, next) = (Instant::now(), shop.consume("store", std::slice::from_ref(&taker)));
    until("the next takes it in", async || shop.count("effects").await == 2).await;
    assert!(began.elapsed() < Duration::from_secs(20), "it was handed to nobody: {:?}", began.elapsed());
    for one in [relay, next] {
        one.stop().await;
    }
}

#[tokio::test]
async fn a_stopping_consumer_ends_what_it_has_begun() {
    let shop = Shop::with_topics(&["store.count"], 12).await;
    let taker = shop.taker("store.count");
    taker.feel(Mood::Hanging);
    shop.publish(1).await;
    let config = ConsumerConfig { drain: Duration::from_millis(100), ..shop.quick() };
    let consumer = shop.consumer_with("store", std::slice::from_ref(&taker), config);
    let (relay, consumer) = (shop.relay(), Running::start(|shutdown| consumer.run(shutdown)));
    until("it is at it", async || taker.calls() > 0).await;
    // Within bounds: what hangs is cut, and comes again.
    consumer.stop().await;
    taker.feel(Mood::Well);
    let next = shop.consume("store", std::slice::from_ref(&taker));
    until("it is done after all", async || shop.count("effects").await == 1).await;
    for one in [relay, next] {
        one.stop().await;
    }
}
