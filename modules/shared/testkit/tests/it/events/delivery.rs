//! Every committed event gets to its listeners, and has one effect there.

use std::sync::Mutex;

use diesel_async::AsyncConnection as _;
use eshopz_platform::context::{RequestContext, current_traceparent};

use super::*;

#[tokio::test]
async fn a_rolled_back_event_was_never_published() {
    let widgets = Widgets::new().await;
    let mut conn = widgets.db.conn().await.unwrap();
    let rolled_back = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
        outbox::publish(conn, &WidgetMade { number: 1 }).await?;
        Err(diesel::result::Error::RollbackTransaction)
    });
    rolled_back.await.unwrap_err();
    drop(conn);
    let taker = widgets.taker("test.take");
    let relay = widgets.relay(std::slice::from_ref(&taker), quick());
    widgets.publish(2).await;
    until("the other is delivered", async || widgets.published().await == 1).await;
    relay.stop().await;
    assert_eq!(taker.calls.load(Ordering::SeqCst), 1);
    assert_eq!(widgets.count("outbox").await, 1);
    assert_eq!(widgets.count("effects WHERE number = 2").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_relays_deliver_every_event_once_in_effect() {
    let widgets = Widgets::new().await;
    let takers = [widgets.taker("test.first"), widgets.taker("test.second")];
    let relays: Vec<Running> = (0..3).map(|_| widgets.relay(&takers, quick())).collect();
    let publishers = (0..4_i64).map(|part| {
        let db = widgets.db.clone();
        tokio::spawn(async move {
            let mut conn = db.conn().await.unwrap();
            for number in part * 500..(part + 1) * 500 {
                outbox::publish(&mut conn, &WidgetMade { number }).await.unwrap();
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    until("all are published", async || widgets.published().await == 2_000).await;
    for relay in relays {
        relay.stop().await;
    }
    assert_eq!(widgets.count("effects").await, 4_000);
    assert_eq!(widgets.count("(SELECT DISTINCT listener, number FROM effects) AS each").await, 4_000);
    assert_eq!(widgets.count("outbox_deliveries").await, 0);
    assert_eq!(widgets.lag().await, health::Lag { pending: 0, oldest_seconds: 0.0, dead: 0 });
    assert!(widgets.broken().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_event_that_comes_many_times_counts_once() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    let event = EventEnvelope {
        id: EventId::new(),
        name: WidgetMade::NAME.to_owned(),
        occurred_at: chrono::Utc::now(),
        payload: serde_json::json!({"number": 1}),
        traceparent: None,
    };
    let deliveries = (0..10).map(|_| {
        let (taker, event) = (taker.clone(), event.clone());
        tokio::spawn(async move { taker.handle(&event).await.unwrap() })
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        delivery.await.unwrap();
    }
    assert_eq!(widgets.count("effects").await, 1);
}

/// Notes the trace context in which it delivers.
#[derive(Default)]
struct Tracing(Mutex<Option<String>>);

#[async_trait]
impl Transport for Tracing {
    async fn deliver(&self, _listener: &str, _event: &EventEnvelope) -> Result<(), Fault> {
        *self.0.lock().unwrap() = current_traceparent();
        Ok(())
    }
}

#[tokio::test]
async fn a_listener_works_in_the_trace_of_the_request() {
    let widgets = Widgets::new().await;
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let context = RequestContext { traceparent: Some(traceparent.clone()), ..RequestContext::default() };
    context.scope(widgets.publish(1)).await;
    let transport = Arc::new(Tracing::default());
    let subscriptions = Subscriptions::default().with("test.take", &[WidgetMade::NAME]);
    let relay = widgets.relay_by(transport.clone(), subscriptions, quick());
    until("it is delivered", async || widgets.published().await == 1).await;
    relay.stop().await;
    assert_eq!(*transport.0.lock().unwrap(), Some(traceparent));
}

#[tokio::test]
async fn an_event_without_a_listener_is_published() {
    let widgets = Widgets::new().await;
    for relay in [widgets.relay(&[widgets.taker("test.take")], quick()), widgets.relay(&[], quick())] {
        let before = widgets.published().await;
        outbox::publish(&mut widgets.db.conn().await.unwrap(), &WidgetIgnored {}).await.unwrap();
        until("it is published", async || widgets.published().await == before + 1).await;
        relay.stop().await;
    }
    assert_eq!(widgets.count("outbox_deliveries").await, 0);
}

#[tokio::test]
async fn an_event_that_commits_after_a_later_one_is_not_lost() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    let relay = widgets.relay(std::slice::from_ref(&taker), quick());
    let mut slow = widgets.db.conn().await.unwrap();
    slow.batch_execute("BEGIN").await.unwrap();
    let earlier = outbox::publish(&mut slow, &WidgetMade { number: 1 }).await.unwrap();
    let later = widgets.publish(2).await;
    assert!(earlier < later);
    until("the later is delivered", async || widgets.published().await == 1).await;
    slow.batch_execute("COMMIT").await.unwrap();
    until("and then the earlier", async || widgets.published().await == 2).await;
    relay.stop().await;
    assert_eq!(widgets.count("effects").await, 2);
}

#[tokio::test]
async fn a_commit_wakes_the_relay_long_before_its_next_look() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    let relay =
        widgets.relay(std::slice::from_ref(&taker), RelayConfig { poll_interval: Duration::from_secs(20), ..quick() });
    until("it listens", async || {
        widgets.publish(0).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        taker.calls.load(Ordering::SeqCst) > 1
    })
    .await;
    let mut latencies = Vec::new();
    for number in 1..=21 {
        let (before, began) = (taker.calls.load(Ordering::SeqCst), Instant::now());
        widgets.publish(number).await;
        while taker.calls.load(Ordering::SeqCst) == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        latencies.push(began.elapsed());
    }
    latencies.sort();
    assert!(latencies[10] < Duration::from_millis(500), "median {:?}", latencies[10]);
    relay.stop().await;
}
