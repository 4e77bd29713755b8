//! The module at work: its HTTP, its listeners and jobs, and the words that the tests use.

use std::sync::Arc;
use std::time::Duration;

use eshopz_cart_api::CartOwner;
use eshopz_kernel::{CartId, Event, EventEnvelope, EventId, OrderId, UserId, VariantId};
use eshopz_order::{OrderDeps, OrderModule, OrderSettings};
use eshopz_platform::db::{Db, DbConfig};
use eshopz_platform::events::is_postponed;
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::fakes::Neighbours;
use crate::trouble::Way;

pub struct Shop {
    pub db: TestDb,
    pub pool: Db,
    pub app: TestApp,
    pub near: Arc<Neighbours>,
    pub way: Arc<Way>,
    pub module: OrderModule,
}

pub const CART_TOKEN: &str = "cart-token-of-a-guest";

/// A request's headers.
pub type Headers<'a> = Vec<(&'a str, &'a str)>;

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(OrderSettings::default()).await
    }

    pub async fn open_with(settings: OrderSettings) -> Self {
        let db = TestDb::new(&["order"]).await;
        let pool = db.db("orders");
        Self::open_on(db, pool, settings).await
    }

    /// With a reader that has what the test lets it have.
    pub async fn open_with_reader(replica: &TestDb) -> Self {
        let db = TestDb::new(&["order"]).await;
        let config = DbConfig { reader_url: Some(replica.url.clone()), ..db.config() };
        let pool = Db::new("orders", &config).unwrap();
        Self::open_on(db, pool, OrderSettings::default()).await
    }

    async fn open_on(db: TestDb, pool: Db, settings: OrderSettings) -> Self {
        let near = Arc::new(Neighbours::default());
        let way = Arc::new(Way::to(near.clone()));
        let module = OrderModule::new(OrderDeps {
            db: pool.clone(),
            users: way.clone(),
            products: way.clone(),
            carts: way.clone(),
            payments: way.clone(),
            settings,
        });
        let served = module.clone();
        let app = TestApp::start(move |cfg| served.configure(cfg)).await.unwrap();
        Self { db, pool, app, near, way, module }
    }

    pub fn guest_cart(&self, lines: &[(VariantId, i64)]) -> CartId {
        self.near.cart(CartOwner::Guest(CART_TOKEN.into()), lines)
    }

    /// An account and its bearer header.
    pub fn customer(&self) -> (UserId, String) {
        let user = UserId::new();
        self.near.world().emails.insert(user, "ada@example.com".into());
        (user, self.app.identity.customer(user))
    }

    pub async fn place(&self, key: &str, who: &Headers<'_>, body: Value) -> TestAnswer {
        let mut headers = vec![("idempotency-key", key)];
        headers.extend(who);
        self.app.send("POST", "/api/v1/orders", &headers, Some(body)).await.unwrap()
    }

    pub async fn place_as_guest(&self, key: &str, body: Value) -> TestAnswer {
        self.place(key, &vec![("x-cart-token", CART_TOKEN)], body).await
    }

    pub async fn get(&self, path: &str, who: &Headers<'_>) -> TestAnswer {
        self.app.send("GET", path, who, None).await.unwrap()
    }

    pub async fn post(&self, path: &str, who: &Headers<'_>, body: Value) -> TestAnswer {
        self.app.send("POST", path, who, Some(body)).await.unwrap()
    }

    /// Hands every event in the outbox to the module's own listeners, as the relay would, and twice.
    pub async fn deliver_own_events(&self) {
        let rows =
            self.db.owner().await.query("SELECT id::text, name, payload::text FROM orders.outbox", &[]).await.unwrap();
        for _ in 0..2 {
            for row in &rows {
                let text: String = row.get(2);
                let id: uuid::Uuid = row.get::<_, String>(0).parse().unwrap();
                self.hand_over(&EventEnvelope {
                    id: EventId(id),
                    name: row.get(1),
                    occurred_at: chrono::Utc::now(),
                    payload: serde_json::from_str(&text).unwrap(),
                    traceparent: None,
                })
                .await;
            }
        }
    }

    /// Has an event of another module come in.
    pub async fn deliver<E: Event>(&self, event: &E) {
        self.hand_over(&EventEnvelope {
            id: EventId::new(),
            name: E::NAME.to_owned(),
            occurred_at: chrono::Utc::now(),
            payload: serde_json::to_value(event).unwrap(),
            traceparent: None,
        })
        .await;
    }

    async fn hand_over(&self, event: &EventEnvelope) {
        for listener in self.module.listeners() {
            if listener.events().contains(&event.name.as_str()) {
                while let Err(fault) = listener.handle(event).await {
                    let pause = is_postponed(&fault).unwrap_or_else(|| panic!("{fault:?}"));
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Runs the module's jobs until a query finds nothing.
    pub async fn work_until_none(&self, query: &str) {
        let owner = self.db.owner().await;
        self.work(async |_| owner.query(query, &[]).await.unwrap().is_empty()).await;
    }

    /// Runs the module's jobs until `done`.
    pub async fn work_until(&self, mut done: impl FnMut(&Neighbours) -> bool) {
        self.work(async |near| done(near)).await;
    }

    async fn work(&self, mut done: impl AsyncFnMut(&Neighbours) -> bool) {
        let (stop, stopped) = watch::channel(false);
        let jobs: Vec<_> = self
            .module
            .jobs()
            .into_iter()
            .map(|job| tokio::spawn(job.run(self.pool.clone(), stopped.clone())))
            .collect();
        for attempt in 0.. {
            if done(&self.near).await {
                break;
            }
            assert!(attempt < 1_000, "the jobs did not do it");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        stop.send(true).unwrap();
        for job in jobs {
            job.await.unwrap();
        }
    }

    /// The order that is there when there is one.
    pub async fn only_order(&self) -> OrderId {
        let row = self.db.owner().await.query_one("SELECT id::text FROM orders.orders", &[]).await.unwrap();
        row.get::<_, String>(0).parse().unwrap()
    }

    pub async fn sql(&self, statement: &str) {
        self.db.owner().await.batch_execute(statement).await.unwrap();
    }

    pub async fn count(&self, query: &str) -> i64 {
        self.db.owner().await.query_one(query, &[]).await.unwrap().get(0)
    }
}

pub fn order_of(cart: CartId) -> Value {
    json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()})
}

pub fn paid_order_of(cart: CartId) -> Value {
    with(order_of(cart), "payment_method", "pm_card_visa")
}

pub fn with(mut body: Value, name: &str, value: impl Into<Value>) -> Value {
    body[name] = value.into();
    body
}

pub fn address() -> Value {
    json!({"name": "Ada Lovelace", "line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"})
}

pub fn id_of(order: &Value) -> OrderId {
    order["id"].as_str().unwrap().parse().unwrap()
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

pub fn path(order: &Value, rest: &str) -> String {
    format!("/api/v1/orders/{}{rest}", text(order, "id"))
}
