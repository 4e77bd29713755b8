//! The outbox, the relay, the inbox and the leases against a real PostgreSQL, in a module that has nothing else.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::BigInt;
use diesel_async::SimpleAsyncConnection as _;
use eshopz_kernel::{Event, EventEnvelope, EventId, Fault};
use eshopz_platform::db::{Db, DbConfig};
use eshopz_platform::events::{Listener, LocalTransport, Relay, RelayConfig, Subscriptions, Transport, health, outbox};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::widgets::{self, WidgetMade};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod absence;
mod delivery;
mod failure;
mod kills;
mod lag;
mod upkeep;

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

impl Widgets {
    async fn new() -> Self {
        let base = TestDb::new(&[]).await;
        let owner = base.owner().await;
        for sql in widgets::MIGRATIONS {
            owner.batch_execute(sql).await.unwrap();
        }
        let config = DbConfig { max_connections: 20, ..base.config() };
        Self { db: Db::new(widgets::SCHEMA, &config).unwrap(), base }
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
        let row: Count = eshopz_platform::db::Single::single(query, &mut conn).await.unwrap();
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
        Taker {
            name,
            db: self.db.clone(),
            calls: Arc::default(),
            fails: Arc::default(),
            pause: Duration::ZERO,
            poison: Poison::None,
        }
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
    /// What it does about each event of a negative number.
    poison: Poison,
}

#[derive(Clone, Copy)]
enum Poison {
    None,
    Fails,
    Panics,
    Hangs,
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
        if event.decode::<WidgetMade>()?.number < 0 {
            match self.poison {
                Poison::None => {}
                Poison::Fails => return Err(Fault::internal("poisoned")),
                // Without the hook, which would print a trace each time.
                Poison::Panics => std::panic::resume_unwind(Box::new("poisoned")),
                Poison::Hangs => std::future::pending().await,
            }
        }
        tokio::time::sleep(self.pause).await;
        widgets::take(&self.db, self.name, event).await
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
