//! A shop in small: a publisher with its outbox, modules that listen, and a server in place of AWS.

use std::future::Future;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_config::{Region, SdkConfig};
use aws_sdk_sqs::config::Credentials;
use diesel::prelude::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::AsyncConnection as _;
use eshopz_aws::events::setup::{Step, setup};
use eshopz_aws::events::{ConsumerConfig, Names, SnsTransport, SqsConsumer, Topology, relay_config};
use eshopz_kernel::{Event, EventEnvelope, EventId, Fault};
use eshopz_platform::context::current_traceparent;
use eshopz_platform::db::{Db, DbConfig, StoreError};
use eshopz_platform::events::{Listener, Relay, RelayConfig, Subscriptions, Transport, inbox, outbox, topic};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::moto::{self, Moto};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

#[derive(Serialize, Deserialize)]
pub struct WidgetMade {
    pub number: i64,
}

impl Event for WidgetMade {
    const NAME: &'static str = "widget.made.v1";
}

/// What nobody in the shop listens to.
#[derive(Serialize, Deserialize)]
pub struct WidgetPainted {}

impl Event for WidgetPainted {
    const NAME: &'static str = "widget.painted.v1";
}

pub const PUBLISHED: &[(&str, &[&str])] =
    &[("widget", &[WidgetMade::NAME, WidgetPainted::NAME]), ("gadget", &["gadget.made.v1"]), ("store", &[])];

/// Tests share a server, and have their own names in it.
pub fn moto() -> &'static Moto {
    static MOTO: OnceLock<Moto> = OnceLock::new();
    MOTO.get_or_init(Moto::start)
}

pub async fn sdk(endpoint: &str) -> SdkConfig {
    eshopz_aws::client::loader()
        .endpoint_url(endpoint)
        .region(Region::new(moto::REGION))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await
}

/// The names of one test.
pub fn names() -> Names {
    Names::with_prefix(format!("t{}", Uuid::now_v7().simple()))
}

pub struct Shop {
    pub db: Db,
    pub sdk: SdkConfig,
    pub topology: Arc<Topology>,
    pub listeners: Subscriptions,
    pub base: TestDb,
}

/// The role is shared by all databases of the server, so two tests can be about to make it.
const SCHEMA: &str = "DO $$ BEGIN CREATE ROLE widgets; \
     EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
     CREATE SCHEMA widgets AUTHORIZATION widgets; SET ROLE widgets; SET search_path = widgets, public;";
const EFFECTS: &str = "CREATE TABLE effects (listener text, event_id uuid, number bigint)";

impl Shop {
    /// A shop with these listeners, each of which takes widgets that are made.
    pub async fn new(listeners: &[&str], max_receives: u32) -> Self {
        Self::at(moto().endpoint(), listeners, max_receives).await
    }

    /// The same, where AWS is somewhere else.
    pub async fn at(endpoint: &str, listeners: &[&str], max_receives: u32) -> Self {
        let base = TestDb::new(&[]).await;
        let owner = base.owner().await;
        for sql in [SCHEMA, include_str!("../../../../../../migrations/common.sql.template"), EFFECTS] {
            owner.batch_execute(sql).await.unwrap();
        }
        let listeners =
            listeners.iter().fold(Subscriptions::default(), |all, name| all.with(name, &[WidgetMade::NAME]));
        let mut topology = Topology::new(names(), PUBLISHED, &listeners).unwrap();
        topology.max_receives = max_receives;
        let sdk = sdk(endpoint).await;
        Self { db: pool(&base), sdk, topology: Arc::new(topology), listeners, base }
    }

    pub async fn with_topics(listeners: &[&str], max_receives: u32) -> Self {
        let shop = Self::new(listeners, max_receives).await;
        shop.setup().await;
        shop
    }

    pub async fn setup(&self) -> Vec<Step> {
        setup(&self.sdk, &self.topology).await.unwrap()
    }

    pub async fn publish(&self, number: i64) -> EventId {
        let mut conn = self.db.conn().await.unwrap();
        outbox::publish(&mut conn, &WidgetMade { number }).await.unwrap()
    }

    pub async fn count(&self, of: &str) -> i64 {
        let mut conn = self.db.conn().await.unwrap();
        let query = sql_query(format!("SELECT count(*) AS n FROM {of}"));
        let row: Count = eshopz_platform::db::Single::single(query, &mut conn).await.unwrap();
        row.n
    }

    /// The relay of a process with `--events sns`.
    pub fn relay(&self) -> Running {
        let transport = SnsTransport::new(&self.sdk, self.topology.clone());
        let subscriptions = topic::subscriptions(&self.topology.events(), &self.listeners);
        self.relay_by(Arc::new(transport), subscriptions)
    }

    /// The relay of a process with `--events local`.
    pub fn local_relay(&self, transport: Arc<dyn Transport>) -> Running {
        let transport = topic::FromTopic::new(transport, self.listeners.clone());
        self.relay_by(Arc::new(transport), topic::without_topic(self.listeners.clone()))
    }

    fn relay_by(&self, transport: Arc<dyn Transport>, subscriptions: Subscriptions) -> Running {
        let quick = RelayConfig {
            poll_interval: Duration::from_millis(50),
            retry_base: Duration::from_millis(50),
            retry_cap: Duration::from_millis(500),
            max_attempts: 1_000,
            ..RelayConfig::default()
        };
        let relay = Relay::new(pool(&self.base), transport, subscriptions, relay_config(quick));
        Running::start(|shutdown| relay.run(shutdown))
    }

    pub fn taker(&self, name: &'static str) -> Taker {
        Taker { name, db: pool(&self.base), state: Arc::default() }
    }

    pub fn consumer(&self, module: &'static str, takers: &[Taker]) -> SqsConsumer {
        self.consumer_with(module, takers, self.quick())
    }

    pub fn consumer_with(&self, module: &'static str, takers: &[Taker], config: ConsumerConfig) -> SqsConsumer {
        let shared = |taker: &Taker| -> Arc<dyn Listener> { Arc::new(taker.clone()) };
        SqsConsumer::new(&self.sdk, &self.topology, module, takers.iter().map(shared).collect(), config)
    }

    /// The process of a module that listens.
    pub fn consume(&self, module: &'static str, takers: &[Taker]) -> Running {
        let consumer = self.consumer(module, takers);
        Running::start(|shutdown| consumer.run(shutdown))
    }

    pub fn quick(&self) -> ConsumerConfig {
        ConsumerConfig {
            wait: Duration::from_secs(1),
            visibility: Duration::from_secs(2),
            retry_base: Duration::from_millis(1),
            retry_cap: Duration::from_secs(1),
            ..ConsumerConfig::new(self.topology.max_receives)
        }
    }
}

/// Another process' pool.
fn pool(base: &TestDb) -> Db {
    Db::new("widgets", &DbConfig { max_connections: 20, ..base.config() }).unwrap()
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Something that runs until it is told to stop.
pub struct Running {
    stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Running {
    pub fn start<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(watch::Receiver<bool>) -> F) -> Self {
        let (stop, shutdown) = watch::channel(false);
        Self { stop, task: tokio::spawn(run(shutdown)) }
    }

    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }

    /// Ends by itself.
    pub async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(60), self.task).await.unwrap().unwrap();
        drop(self.stop);
    }
}

#[derive(Clone, Copy)]
pub enum Mood {
    Well = 0,
    Failing = 1,
    Panicking = 2,
    Hanging = 3,
}

#[derive(Default)]
struct State {
    mood: AtomicU8,
    calls: AtomicUsize,
    traceparent: Mutex<Option<String>>,
}

/// A listener that writes one effect per event, in one transaction with the inbox.
#[derive(Clone)]
pub struct Taker {
    name: &'static str,
    db: Db,
    state: Arc<State>,
}

impl Taker {
    pub fn feel(&self, mood: Mood) {
        self.state.mood.store(mood as u8, Ordering::SeqCst);
    }

    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }

    pub fn traceparent(&self) -> Option<String> {
        self.state.traceparent.lock().unwrap().clone()
    }
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
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        *self.state.traceparent.lock().unwrap() = current_traceparent();
        match self.state.mood.load(Ordering::SeqCst) {
            1 => return Err(Fault::internal("planted")),
            2 => panic!("planted"),
            3 => std::future::pending().await,
            _ => {}
        }
        let (name, id, number) = (self.name, event.id, event.decode::<WidgetMade>()?.number);
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

/// An event that has not been through any outbox.
pub fn event(name: &str, payload: serde_json::Value) -> EventEnvelope {
    EventEnvelope {
        id: EventId::new(),
        name: name.to_owned(),
        occurred_at: chrono::Utc::now(),
        payload,
        traceparent: None,
    }
}

/// Asks until it is so.
pub async fn until<F: Future<Output = bool>>(what: &str, probe: impl Fn() -> F) {
    let began = Instant::now();
    while !probe().await {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
