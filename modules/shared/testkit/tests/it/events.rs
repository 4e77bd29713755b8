//! The outbox, the relay, the inbox and the leases against a real PostgreSQL, in a schema `widgets`
//! made from the template that every module pastes.

use std::collections::HashSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, SimpleAsyncConnection as _};
use eshopz_kernel::{Event, EventEnvelope, EventId, Fault};
use eshopz_platform::context::{RequestContext, current_traceparent};
use eshopz_platform::db::{Db, DbConfig, StoreError};
use eshopz_platform::events::{
    Listener, LocalTransport, Relay, RelayConfig, Subscriptions, Transport, dead, health, inbox, outbox, sweep,
};
use eshopz_platform::jobs::Periodic;
use eshopz_testkit::db::TestDb;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
struct WidgetMade {
    number: i64,
}

impl Event for WidgetMade {
    const NAME: &'static str = "widget.made.v1";
}

#[derive(Serialize, Deserialize)]
struct WidgetIgnored {}

impl Event for WidgetIgnored {
    const NAME: &'static str = "widget.ignored.v1";
}

/// A module's schema in a database of its own.
struct Widgets {
    db: Db,
    base: TestDb,
}

/// The role is shared by all databases of the server, so two tests can be about to make it.
const SCHEMA: &str = "DO $$ BEGIN CREATE ROLE widgets; \
     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
     CREATE SCHEMA widgets AUTHORIZATION widgets; SET ROLE widgets; SET search_path = widgets, public;";
const EFFECTS: &str = "CREATE TABLE effects (listener text, event_id uuid, number bigint)";

impl Widgets {
    async fn new() -> Self {
        let base = TestDb::new(&[]).await;
        let owner = base.owner().await;
        for sql in [SCHEMA, include_str!("../../../../../migrations/common.sql.template"), EFFECTS] {
            owner.batch_execute(sql).await.unwrap();
        }
        let config = DbConfig { max_connections: 20, ..base.config() };
        Self { db: Db::new("widgets", &config).unwrap(), base }
    }

    async fn publish(&self, number: i64) -> EventId {
        let mut conn = self.db.conn().await.unwrap();
        outbox::publish(&mut conn, &WidgetMade { number }).await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        self.db.conn().await.unwrap().batch_execute(sql).await.unwrap();
    }

    async fn count(&self, of: &str) -> i64 {
        let mut conn = self.db.conn().await.unwrap();
        let query = sql_query(format!("SELECT count(*) AS n FROM {of}"));
        let row: Count = diesel_async::RunQueryDsl::get_result(query, &mut conn).await.unwrap();
        row.n
    }

    async fn published(&self) -> i64 {
        self.count("outbox WHERE published_at IS NOT NULL").await
    }

    async fn lag(&self) -> health::Lag {
        health::lag(&mut self.db.conn().await.unwrap()).await.unwrap()
    }

    async fn broken(&self) -> Vec<&'static str> {
        let report = health::audit(&mut self.db.conn().await.unwrap(), "widgets").await.unwrap();
        report.findings.iter().map(|finding| finding.check).collect()
    }

    fn taker(&self, name: &'static str) -> Taker {
        Taker { name, db: self.db.clone(), calls: Arc::default(), fails: Arc::default(), pause: Duration::ZERO }
    }

    fn relay(&self, listeners: &[Taker], config: RelayConfig) -> Running {
        let shared = |taker: &Taker| -> Arc<dyn Listener> { Arc::new(taker.clone()) };
        let listeners: Vec<_> = listeners.iter().map(shared).collect();
        let subscriptions = Subscriptions::of(&listeners);
        self.relay_by(Arc::new(LocalTransport::new(listeners)), subscriptions, config)
    }

    fn relay_by(&self, transport: Arc<dyn Transport>, subscriptions: Subscriptions, config: RelayConfig) -> Running {
        let (stop, shutdown) = watch::channel(false);
        let relay = Relay::new(self.db.clone(), transport, subscriptions, config);
        Running { stop, task: tokio::spawn(relay.run(shutdown)) }
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

/// A listener that writes one effect per event, as listeners should: in one transaction with the inbox.
#[derive(Clone)]
struct Taker {
    name: &'static str,
    db: Db,
    calls: Arc<AtomicUsize>,
    fails: Arc<AtomicBool>,
    pause: Duration,
}

#[async_trait]
impl Listener for Taker {
    fn name(&self) -> &'static str {
        self.name
    }

    fn events(&self) -> &'static [&'static str] {
        &[WidgetMade::NAME]
    }

    async fn handle(&self, event: &EventEnvelope) -> Result<(), Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.fails.load(Ordering::SeqCst) {
            return Err(Fault::internal("poisoned"));
        }
        tokio::time::sleep(self.pause).await;
        let (name, id) = (self.name, event.id);
        let number = event.decode::<WidgetMade>()?.number;
        let mut conn = self.db.conn().await?;
        let effect = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
            if inbox::claim(conn, name, id).await? {
                let effect = sql_query("INSERT INTO effects (listener, event_id, number) VALUES ($1, $2, $3)")
                    .bind::<Text, _>(name)
                    .bind::<SqlUuid, _>(id.uuid())
                    .bind::<BigInt, _>(number);
                diesel_async::RunQueryDsl::execute(effect, conn).await?;
            }
            Ok(())
        });
        effect.await.map_err(|error| StoreError::from(error).into())
    }
}

fn quick() -> RelayConfig {
    RelayConfig {
        poll_interval: Duration::from_millis(50),
        retry_base: Duration::from_millis(10),
        retry_cap: Duration::from_millis(50),
        ..RelayConfig::default()
    }
}

/// Asks until it is so.
async fn until<F: Future<Output = bool>>(what: &str, probe: impl Fn() -> F) {
    let began = Instant::now();
    while !probe().await {
        assert!(began.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

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
    let config = RelayConfig { lease: Duration::from_millis(200), max_attempts: 2, ..quick() };
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
async fn the_audit_finds_what_is_stuck_or_missing() {
    let widgets = Widgets::new().await;
    for number in 0..3 {
        widgets.publish(number).await;
    }
    assert!(widgets.broken().await.is_empty());
    assert_eq!(widgets.lag().await.pending, 3);
    widgets
        .execute(
            "UPDATE outbox SET occurred_at = now() - interval '1 hour' WHERE payload->>'number' = '0'; \
             UPDATE outbox SET remaining = 1 WHERE payload->>'number' > '0'; \
             INSERT INTO outbox_deliveries (event_id, listener, available_at) \
             SELECT id, 'test.gone', now() - interval '1 hour' FROM outbox WHERE payload->>'number' = '1'",
        )
        .await;
    let broken: HashSet<_> = widgets.broken().await.into_iter().collect();
    assert_eq!(broken, HashSet::from(["outbox_taken_up", "outbox_deliveries", "outbox_delivered"]));
    assert!(widgets.lag().await.oldest_seconds > 3_000.0);
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_and_nothing_else() {
    let widgets = Widgets::new().await;
    widgets
        .execute(
            "INSERT INTO outbox (id, name, payload, remaining, published_at) \
             SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'x.v1', '{}', 0, \
                    now() - interval '8 days' FROM generate_series(1, 2500) n; \
             INSERT INTO outbox (id, name, payload) VALUES ('00000000-0000-7000-9000-000000000000', 'x.v1', '{}'); \
             INSERT INTO inbox (listener, event_id, received_at) \
             SELECT 'test.take', id, now() - interval '31 days' FROM outbox; \
             INSERT INTO inbox (listener, event_id) VALUES ('test.late', '00000000-0000-7000-8000-000000000000'); \
             INSERT INTO idempotency_keys (caller, key, operation, request_hash, created_at) VALUES \
             ('a', 'old', 'x', '', now() - interval '25 hours'), ('a', 'new', 'x', '', now())",
        )
        .await;
    widgets.publish(1).await;
    let mut conn = widgets.db.conn().await.unwrap();
    let swept = sweep::expired(&mut conn, &sweep::Retention::default()).await.unwrap();
    assert_eq!(swept, sweep::Swept { outbox: 2_500, inbox: 2_501, idempotency_keys: 1 });
    assert_eq!(widgets.count("outbox").await, 2);
    assert_eq!(widgets.count("inbox").await, 1);
    assert_eq!(widgets.count("idempotency_keys WHERE key = 'new'").await, 1);
}

#[tokio::test]
async fn of_two_runners_one_runs_and_a_dead_one_is_replaced() {
    let widgets = Widgets::new().await;
    let (runs, at_once, most) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let job = |every: Duration, hang: bool| {
        let (runs, at_once, most) = (Arc::clone(&runs), Arc::clone(&at_once), Arc::clone(&most));
        Periodic::new("test.job", every, move || {
            let (runs, at_once, most) = (Arc::clone(&runs), Arc::clone(&at_once), Arc::clone(&most));
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(if hang { Duration::from_secs(600) } else { Duration::from_millis(20) }).await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                Err(Fault::internal("a failed run is a run"))
            }
        })
        .lease(Duration::from_secs(1))
    };
    let (stop, shutdown) = watch::channel(false);
    let doomed = tokio::spawn(job(Duration::from_millis(200), true).run(widgets.db.clone(), shutdown.clone()));
    until("the first runs", async || runs.load(Ordering::SeqCst) == 1).await;
    let second = tokio::spawn(job(Duration::from_millis(200), false).run(widgets.db.clone(), shutdown.clone()));
    let third = tokio::spawn(job(Duration::from_millis(200), false).run(widgets.db.clone(), shutdown));
    let later = chrono::Utc::now() + Duration::from_secs(2);
    until("its lease is renewed", async || widgets.count(&format!("leases WHERE until > '{later}'")).await == 1).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    doomed.abort();
    let _ = doomed.await;
    at_once.store(0, Ordering::SeqCst);
    until("another takes over", async || runs.load(Ordering::SeqCst) == 2).await;
    let began = Instant::now();
    until("it goes on", async || runs.load(Ordering::SeqCst) >= 7).await;
    assert!(began.elapsed() > Duration::from_millis(900), "two runners are not twice as often");
    stop.send(true).unwrap();
    second.await.unwrap();
    third.await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(widgets.count(&format!("leases WHERE name = 'test.job' AND holder <> '{}'", Uuid::nil())).await, 1);
}
