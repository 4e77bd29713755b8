//! Each contract's promises, run on the module's own value and on the client of it in another process, on a
//! database of its own each. Both must keep them, and must say the same, word for word.

mod cart;
mod events;
mod listener;
mod payment;
mod product;
mod user;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use eshopz::wire::{InternalListener, Served, internal_listener};
use eshopz_cart::{CartDeps, CartModule, CartSettings};
use eshopz_kernel::Fault;
use eshopz_payment::{PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway};
use eshopz_platform::auth::session_copies;
use eshopz_platform::cache::{Counters, Redis};
use eshopz_platform::events::Listener;
use eshopz_platform::wire::{Neighbour, NeighbourConfig, ServiceKeys, Tuning};
use eshopz_product::{ProductDeps, ProductModule, ProductSettings};
use eshopz_testkit::TestApp;
use eshopz_testkit::db::TestDb;
use eshopz_user::{FolderMailer, UserDeps, UserModule, UserSettings};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// The modules that others call, on one database, and the means to fill them.
pub struct World {
    pub user: UserModule,
    pub product: ProductModule,
    pub cart: CartModule,
    pub payment: PaymentModule,
    /// The catalogue's and the carts' public side.
    pub app: TestApp,
    pub db: TestDb,
}

impl World {
    pub async fn open() -> Self {
        let db = TestDb::new(&["user", "product", "cart", "payment"]).await;
        let redis = Redis::none();
        let user = UserModule::new(UserDeps {
            db: db.db("users"),
            counters: Counters::new(redis.clone()),
            sessions: session_copies(redis.clone()),
            mailer: Arc::new(FolderMailer::new(std::env::temp_dir().join("eshopz-conformance-mail"))),
            settings: UserSettings { key_secret: "a secret of these tests".to_owned(), ..UserSettings::default() },
        });
        let product = ProductModule::new(ProductDeps {
            db: db.db("products"),
            redis: redis.clone(),
            settings: ProductSettings::default(),
        });
        let cart = CartModule::new(CartDeps {
            db: db.db("carts"),
            products: product.api(),
            settings: CartSettings::default(),
        });
        let pool = db.db("payments");
        let payment = PaymentModule::new(PaymentDeps {
            db: pool.clone(),
            gateway: Arc::new(SandboxGateway::new(pool)),
            settings: PaymentSettings::default(),
        });
        let served = (product.clone(), cart.clone());
        let app = TestApp::start(move |cfg| {
            served.0.configure(cfg);
            served.1.configure(cfg);
        });
        let app = app.await.unwrap();
        Self { user, product, cart, payment, app, db }
    }

    /// The modules behind an internal listener.
    pub fn listen(&self, listeners: Vec<Arc<dyn Listener>>) -> Away {
        Away::new(Served {
            user: Some(self.user.api()),
            product: Some(self.product.api()),
            cart: Some(self.cart.api()),
            payment: Some(self.payment.api()),
            listeners,
        })
    }

    /// A variant with so many on hand; its id.
    pub async fn variant(&self, product: Value) -> String {
        let made = self.send("POST", "products", ("authorization", &self.app.identity.admin()), product).await;
        made["variants"][0]["id"].as_str().unwrap().to_owned()
    }

    /// A request that must work.
    pub async fn send(&self, method: &str, path: &str, header: (&str, &str), body: Value) -> Value {
        let answer = self.app.send(method, &format!("/api/v1/{path}"), &[header], Some(body)).await.unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text);
        answer.json()
    }

    /// As the database's owner.
    pub async fn plant(&self, statements: &str) {
        self.db.owner().await.batch_execute(statements).await.unwrap();
    }
}

/// A product of one variant.
pub fn in_stock(title: &str, on_hand: i64) -> Value {
    json!({"title": title, "variants": [{"price": {"amount": 1_000, "currency": "USD"}, "on_hand": on_hand}]})
}

/// An internal listener, and the way to it.
pub struct Away {
    pub keys: ServiceKeys,
    pub listener: InternalListener,
}

impl Away {
    pub fn new(served: Served) -> Self {
        let keys = ServiceKeys::new(vec!["a secret of these tests".to_owned()]).unwrap();
        let (address, grace) = ("127.0.0.1:0".parse().unwrap(), Duration::from_secs(10));
        let listener = internal_listener(served, keys.clone(), address, 2, grace).unwrap();
        Self { keys, listener }
    }

    pub fn neighbour(&self, module: &'static str) -> Neighbour {
        let config = NeighbourConfig {
            module,
            caller: "test".to_owned(),
            url: format!("http://{}", self.listener.address()),
            keys: self.keys.clone(),
            tuning: Tuning::default(),
        };
        Neighbour::new(config).unwrap()
    }
}

/// What was said, in order, so that two runs can be compared: ids are numbered as they appear, and times,
/// which differ, are left out.
#[derive(Default)]
pub struct Record {
    lines: Vec<String>,
    ids: HashMap<Uuid, usize>,
}

impl Record {
    /// Notes a result or a fault with all that it holds, and gives it back.
    pub fn note<T: Serialize>(&mut self, what: &str, outcome: Result<T, Fault>) -> Result<T, Fault> {
        let mut told = match &outcome {
            Ok(result) => serde_json::to_value(result).unwrap(),
            Err(fault) => json!({"fault": fault}),
        };
        self.level(&mut told);
        self.lines.push(format!("{what}: {told}"));
        outcome
    }

    fn level(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if chrono::DateTime::parse_from_rfc3339(text).is_ok() {
                    *text = "a time".to_owned();
                }
                // Also within a text, such as an address.
                while let Some((found, id)) = first_id(text) {
                    let next = self.ids.len();
                    let number = self.ids.entry(id).or_insert(next);
                    *text = text.replace(&found, &format!("id {number}"));
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.level(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.level(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The first id in a text, with dashes or without.
fn first_id(text: &str) -> Option<(String, Uuid)> {
    let of = |length| text.char_indices().filter_map(move |(start, _)| text.get(start..start + length));
    of(36).chain(of(32)).find_map(|found| Some((found.to_owned(), found.parse().ok()?)))
}

/// Runs a suite here and away and compares what was said.
macro_rules! here_and_away {
    ($suite:path, $module:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_client_is_as_good_as_the_value() {
            let world = $crate::conformance::World::open().await;
            let here = $suite(world.$module.api(), &world).await;
            let world = $crate::conformance::World::open().await;
            let away = world.listen(Vec::new());
            let client = eshopz::wire::$module::client(away.neighbour(stringify!($module)));
            let there = $suite(client, &world).await;
            for (here, there) in here.lines.iter().zip(&there.lines) {
                assert_eq!(here, there);
            }
            assert_eq!(here.lines.len(), there.lines.len());
            away.listener.stop().await;
        }
    };
}
use here_and_away;
