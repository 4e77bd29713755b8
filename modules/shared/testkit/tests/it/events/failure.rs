//! What fails, hangs, panics or dies, and what becomes of the others meanwhile.

use eshopz_platform::events::{dead, lost};

use super::*;

#[tokio::test]
async fn a_poisoned_event_dies_alone_and_can_be_redriven() {
    let widgets = Widgets::new().await;
    let (sick, well) = (widgets.taker("test.sick"), widgets.taker("test.well"));
    sick.fails.store(true, Ordering::SeqCst);
    let relay = widgets.relay(&[sick.clone(), well.clone()], RelayConfig { max_attempts: 3, ..quick() });
    let event = widgets.publish(1).await;
    widgets.publish(2).await;
    until("both are dead letters", async || widgets.lag().await.dead == 2).await;
    assert_eq!(sick.calls.load(Ordering::SeqCst), 6);
    assert_eq!(widgets.count("effects WHERE listener = 'test.well'").await, 2);
    assert_eq!(widgets.published().await, 0);
    assert_eq!(widgets.broken().await, ["outbox_dead_letters", "outbox_dead_letters"]);

    let mut conn = widgets.db.conn().await.unwrap();
    let letters = dead::list(&mut conn, 10).await.unwrap();
    assert_eq!(letters.len(), 2);
    assert!(letters.iter().all(|letter| letter.listener == "test.sick" && letter.attempts == 3));
    assert!(letters[0].last_error.as_deref().unwrap().contains("poisoned"));

    sick.fails.store(false, Ordering::SeqCst);
    let none = dead::Filter { listener: Some("test.well".to_owned()), ..dead::Filter::default() };
    assert_eq!(dead::redrive(&mut conn, &none).await.unwrap(), 0);
    let one = dead::Filter { event_id: Some(event), ..dead::Filter::default() };
    assert_eq!(dead::redrive(&mut conn, &one).await.unwrap(), 1);
    until("the redriven one is published", async || widgets.published().await == 1).await;
    assert_eq!(dead::redrive(&mut conn, &dead::Filter::default()).await.unwrap(), 1);
    until("so is the other", async || widgets.published().await == 2).await;
    relay.stop().await;
    assert!(widgets.broken().await.is_empty());
}

/// A transport that never comes back, as if the process had died during the attempt.
struct Hole;

#[async_trait]
impl Transport for Hole {
    async fn deliver(&self, _listener: &str, _event: &EventEnvelope) -> Result<(), Fault> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn another_relay_takes_over_when_the_lease_of_a_dead_one_ends() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    let config = RelayConfig { lease: Duration::from_secs(1), ..quick() };
    let subscriptions = Subscriptions::default().with("test.take", &[WidgetMade::NAME]);
    let doomed = widgets.relay_by(Arc::new(Hole), subscriptions, config.clone());
    widgets.publish(1).await;
    until("it is claimed", async || widgets.count("outbox_deliveries WHERE attempts = 1").await == 1).await;
    doomed.task.abort();
    let relay = widgets.relay(std::slice::from_ref(&taker), config);
    until("it is delivered", async || widgets.published().await == 1).await;
    relay.stop().await;
    assert_eq!(widgets.count("effects").await, 1);
}

#[tokio::test]
async fn what_never_returns_is_cut_off_and_dies_within_its_attempts() {
    let widgets = Widgets::new().await;
    let config = RelayConfig { handler_limit: Duration::from_millis(200), max_attempts: 2, ..quick() };
    let subscriptions = Subscriptions::default().with("test.take", &[WidgetMade::NAME]);
    let relay = widgets.relay_by(Arc::new(Hole), subscriptions, config);
    widgets.publish(1).await;
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_crash_in_every_attempt_ends_as_a_dead_letter() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    widgets.publish(1).await;
    widgets
        .execute(
            "INSERT INTO outbox_deliveries (event_id, listener, attempts) SELECT id, 'test.take', 12 FROM outbox; \
             UPDATE outbox SET remaining = 1",
        )
        .await;
    let relay = widgets.relay(std::slice::from_ref(&taker), quick());
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    relay.stop().await;
    assert_eq!(taker.calls.load(Ordering::SeqCst), 0);
}

struct Panicking;

#[async_trait]
impl Transport for Panicking {
    async fn deliver(&self, _listener: &str, _event: &EventEnvelope) -> Result<(), Fault> {
        panic!("a mistake in a listener")
    }
}

#[tokio::test]
async fn a_panic_is_a_failure_and_the_relay_goes_on() {
    let widgets = Widgets::new().await;
    let subscriptions = Subscriptions::default().with("test.take", &[WidgetMade::NAME]);
    let relay = widgets.relay_by(Arc::new(Panicking), subscriptions, RelayConfig { max_attempts: 2, ..quick() });
    widgets.publish(1).await;
    until("it is a dead letter", async || widgets.lag().await.dead == 1).await;
    widgets.publish(2).await;
    until("and so is the next", async || widgets.lag().await.dead == 2).await;
    relay.stop().await;
}

#[tokio::test]
async fn a_slow_listener_holds_up_no_other() {
    let widgets = Widgets::new().await;
    let slow = Taker { pause: Duration::from_secs(60), ..widgets.taker("test.slow") };
    let swift = widgets.taker("test.swift");
    let config = RelayConfig { batch: 4, concurrency: 2, drain: Duration::from_millis(1), ..quick() };
    let relay = widgets.relay(&[slow, swift], config);
    for number in 0..40 {
        widgets.publish(number).await;
    }
    until("the swift one has them all", async || widgets.count("effects").await == 40).await;
    // An effect shows a moment before its delivery is noted.
    let noted = async || widgets.count("outbox_deliveries WHERE listener = 'test.swift'").await == 0;
    until("they are noted", noted).await;
    relay.stop().await;
    // Those that were waiting were given back when it stopped: at most two count as tried.
    assert!(widgets.count("outbox_deliveries WHERE attempts > 0").await <= 2);
}

#[tokio::test]
async fn stopping_waits_for_what_runs() {
    let widgets = Widgets::new().await;
    let taker = Taker { pause: Duration::from_millis(300), ..widgets.taker("test.take") };
    let relay = widgets.relay(std::slice::from_ref(&taker), quick());
    widgets.publish(1).await;
    until("it runs", async || taker.calls.load(Ordering::SeqCst) == 1).await;
    relay.stop().await;
    assert_eq!(widgets.published().await, 1);
}

#[tokio::test]
async fn what_ends_while_it_stops_is_noted_before_the_slowest_has_ended() {
    let widgets = Widgets::new().await;
    let taker = Taker { pause: Duration::from_millis(500), ..widgets.taker("test.take") };
    let slow = Taker { pause: Duration::from_secs(60), ..widgets.taker("test.slow") };
    let relay = widgets.relay(&[taker.clone(), slow.clone()], quick());
    widgets.publish(1).await;
    until("both run", async || [&taker, &slow].iter().all(|taker| taker.calls.load(Ordering::SeqCst) == 1)).await;
    relay.stop.send(true).unwrap();
    let began = Instant::now();
    until("the first is noted", async || widgets.count("outbox_deliveries").await == 1).await;
    assert!(began.elapsed() < quick().drain / 2, "{:?}", began.elapsed());
    relay.task.abort();
}

#[tokio::test]
async fn a_relay_outlives_its_connections() {
    let widgets = Widgets::new().await;
    let relay = widgets.relay(&[widgets.taker("test.take")], quick());
    widgets.publish(1).await;
    until("it works", async || widgets.published().await == 1).await;
    let owner = widgets.base.owner().await;
    owner
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    until("a connection is to be had", async || match widgets.db.conn().await {
        Ok(mut conn) => outbox::publish(&mut conn, &WidgetMade { number: 2 }).await.is_ok(),
        Err(_) => false,
    })
    .await;
    until("it works again", async || widgets.published().await == 2).await;
    relay.stop().await;
}

#[tokio::test]
async fn deliveries_that_were_lost_are_made_again() {
    let widgets = Widgets::new().await;
    let takers = [widgets.taker("test.first"), widgets.taker("test.second")];
    let relay = widgets.relay(&takers, quick());
    let event = widgets.publish(1).await;
    until("it is delivered", async || widgets.published().await == 1).await;
    widgets.execute("UPDATE outbox SET remaining = 2, published_at = NULL").await;
    assert_eq!(widgets.broken().await, ["outbox_deliveries"]);
    let subscriptions =
        Subscriptions::default().with("test.first", &[WidgetMade::NAME]).with("test.second", &[WidgetMade::NAME]);
    let mut conn = widgets.db.conn().await.unwrap();
    assert!(lost::redeliver(&mut conn, event, &subscriptions).await.unwrap());
    assert!(!lost::redeliver(&mut conn, EventId::new(), &subscriptions).await.unwrap());
    until("it is delivered again", async || widgets.published().await == 1).await;
    relay.stop().await;
    assert!(widgets.broken().await.is_empty());
    assert_eq!(widgets.count("effects").await, 2);
    assert!(takers.iter().all(|taker| taker.calls.load(Ordering::SeqCst) == 2));
}
