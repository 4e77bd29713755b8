//! A running cart module, its catalogue, and buyers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use eshopz_cart::{CartDeps, CartModule, CartSettings};
use eshopz_kernel::{Currency, Fault, Money, OrderId, ProductId, UserId, VariantId};
use eshopz_product_api::{GiveBackStock, ProductApi, ReserveStock, VariantSnapshot};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// A catalogue in memory that counts how often it is asked.
#[derive(Default)]
pub struct Catalogue {
    variants: Mutex<HashMap<VariantId, VariantSnapshot>>,
    calls: AtomicUsize,
    away: AtomicBool,
    /// The next call tells that it has come, and waits.
    held: Mutex<Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>>,
}

impl Catalogue {
    fn lock(&self) -> MutexGuard<'_, HashMap<VariantId, VariantSnapshot>> {
        self.variants.lock().unwrap()
    }

    /// A new variant at a price in cents, with so many in stock.
    pub fn offer(&self, price: i64, available: i64) -> VariantId {
        let id = VariantId::new();
        let variant = VariantSnapshot {
            id,
            product_id: ProductId::new(),
            sku: Some(format!("SKU-{price}")),
            title: "Stoneware mug".to_owned(),
            variant_title: "Blue".to_owned(),
            image_url: Some("https://example.com/mug.jpg".to_owned()),
            price: Money::new(price, Currency::USD),
            available,
            backorder: false,
            requires_shipping: true,
            taxable: true,
            sellable: true,
        };
        self.lock().insert(id, variant);
        id
    }

    pub fn edit(&self, id: VariantId, change: impl FnOnce(&mut VariantSnapshot)) {
        change(self.lock().get_mut(&id).unwrap());
    }

    pub fn withdraw(&self, id: VariantId) {
        self.lock().remove(&id);
    }

    /// Whether it answers 503.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// Holds the next call: when it has come, and what lets it go on with the answer of that time.
    pub fn hold(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let ((come, has_come), (go, may_go)) = (oneshot::channel(), oneshot::channel());
        *self.held.lock().unwrap() = Some((come, may_go));
        (has_come, go)
    }

    /// How often it was asked since the last time.
    pub fn calls(&self) -> usize {
        self.calls.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl ProductApi for Catalogue {
    async fn variants(&self, ids: &[VariantId]) -> Result<Vec<VariantSnapshot>, Fault> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.away.load(Ordering::SeqCst) {
            return Err(Fault::unavailable("the catalogue is away", 1));
        }
        let held = self.held.lock().unwrap().take();
        if let Some((come, may_go)) = held {
            come.send(()).unwrap();
            may_go.await.unwrap();
        }
        let variants = self.lock();
        Ok(ids.iter().filter_map(|id| variants.get(id).cloned()).collect())
    }

    async fn reserve(&self, _: ReserveStock) -> Result<(), Fault> {
        unreachable!("a cart reserves nothing")
    }

    async fn commit_reservation(&self, _: OrderId) -> Result<(), Fault> {
        unreachable!("a cart sells nothing")
    }

    async fn release(&self, _: OrderId) -> Result<(), Fault> {
        unreachable!("a cart holds nothing")
    }

    async fn give_back(&self, _: GiveBackStock) -> Result<(), Fault> {
        unreachable!("a cart holds nothing")
    }
}

/// The module behind a server.
pub struct Shop {
    pub catalogue: Arc<Catalogue>,
    pub carts: CartModule,
    pub app: TestApp,
    pub base: TestDb,
}

impl Shop {
    pub async fn open() -> Self {
        Self::open_with(CartSettings::default()).await
    }

    pub async fn open_with(settings: CartSettings) -> Self {
        let base = TestDb::new(&["cart"]).await;
        let catalogue = Arc::new(Catalogue::default());
        let carts = CartModule::new(CartDeps { db: base.db("carts"), products: catalogue.clone(), settings });
        let module = carts.clone();
        let app = TestApp::start(move |cfg| module.configure(cfg)).await.unwrap();
        Self { catalogue, carts, app, base }
    }

    /// A guest with a new cart.
    pub async fn guest(&self) -> Buyer<'_> {
        let made = self.app.send("POST", "/api/v1/carts", &[], None).await.unwrap();
        assert_eq!(made.status, 201, "{}", made.text);
        let cart = text(&made.json(), "id");
        Buyer { shop: self, header: ("x-cart-token", text(&made.json(), "token")), cart }
    }

    /// A customer with the open cart of the account.
    pub async fn customer(&self, user: UserId) -> Buyer<'_> {
        let header = ("authorization", self.app.identity.customer(user));
        let mine = self.app.send("GET", "/api/v1/carts/mine", &[(header.0, &header.1)], None).await.unwrap();
        assert_eq!(mine.status, 200, "{}", mine.text);
        Buyer { shop: self, cart: text(&mine.json(), "id"), header }
    }

    /// Runs SQL as the owner of the database.
    pub async fn plant(&self, sql: &str) {
        self.base.owner().await.batch_execute(&format!("SET search_path = carts; {sql}")).await.unwrap();
    }

    /// A count by SQL as the owner of the database.
    pub async fn count(&self, of: &str) -> i64 {
        let row = self.base.owner().await.query_one(&format!("SELECT count(*) FROM carts.{of}"), &[]).await.unwrap();
        row.get(0)
    }
}

/// Somebody with a cart.
#[derive(Clone)]
pub struct Buyer<'a> {
    pub shop: &'a Shop,
    pub header: (&'static str, String),
    pub cart: String,
}

impl Buyer<'_> {
    /// Sends a request on a path below the cart.
    pub async fn send(&self, method: &str, below: &str, body: Option<Value>) -> TestAnswer {
        self.send_if(method, below, body, &[]).await
    }

    pub async fn send_if(&self, method: &str, below: &str, body: Option<Value>, more: &[(&str, &str)]) -> TestAnswer {
        let mut headers = vec![(self.header.0, self.header.1.as_str())];
        headers.extend_from_slice(more);
        let path = format!("/api/v1/carts/{}{below}", self.cart);
        self.shop.app.send(method, &path, &headers, body).await.unwrap()
    }

    pub async fn add(&self, variant: VariantId, quantity: i64) -> TestAnswer {
        self.send("POST", "/items", Some(json!({"variant_id": variant, "quantity": quantity}))).await
    }

    pub async fn set(&self, item: &str, quantity: i64) -> TestAnswer {
        self.send("PATCH", &format!("/items/{item}"), Some(json!({"quantity": quantity}))).await
    }

    pub async fn read(&self) -> Value {
        let answer = self.send("GET", "", None).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// `[(quantity, unit price)]` of the lines.
pub fn lines(cart: &Value) -> Vec<(i64, i64)> {
    let items = cart["items"].as_array().unwrap_or_else(|| panic!("no lines in {cart}"));
    items
        .iter()
        .map(|item| (item["quantity"].as_i64().unwrap(), item["unit_price"]["amount"].as_i64().unwrap()))
        .collect()
}

/// Status and problem code.
pub fn refusal(answer: &TestAnswer) -> (u16, String) {
    (answer.status, answer.code())
}

/// The first field that is not valid: where and why.
pub fn field(answer: &TestAnswer) -> (String, String) {
    let error = &answer.json()["errors"][0];
    (text(error, "field"), text(error, "code"))
}
