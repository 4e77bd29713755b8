//! A running catalogue for one test, and shorthands to fill and to read it.

use std::sync::Arc;

use eshopz_kernel::{OrderId, VariantId};
use eshopz_platform::cache::Redis;
use eshopz_platform::db::{Db, DbConfig};
use eshopz_product::{ProductDeps, ProductModule, ProductSettings};
use eshopz_product_api::{ProductApi, ReserveStock, StockLine, VariantSnapshot};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::{TestAnswer, TestApp};
use serde_json::{Value, json};

pub struct Shop {
    pub app: TestApp,
    pub module: ProductModule,
    pub api: Arc<dyn ProductApi>,
    pub admin: String,
    /// Last, so that it is dropped when nobody uses it any more.
    pub base: TestDb,
}

impl Shop {
    pub async fn open() -> Self {
        let base = TestDb::new(&["product"]).await;
        let deps = deps(&base, Redis::none());
        Self::open_over(base, deps).await
    }

    /// With a reader that has what the test lets it have.
    pub async fn open_with_reader(replica: &TestDb) -> Self {
        let base = TestDb::new(&["product"]).await;
        let config = DbConfig { reader_url: Some(replica.url.clone()), ..base.config() };
        let db = Db::new("products", &config).unwrap();
        let deps = ProductDeps { db, ..deps(&base, Redis::none()) };
        Self::open_over(base, deps).await
    }

    async fn open_over(base: TestDb, deps: ProductDeps) -> Self {
        let module = ProductModule::new(deps);
        let configured = module.clone();
        let app = TestApp::start(move |cfg| configured.configure(cfg)).await.unwrap();
        let admin = app.identity.admin();
        Self { app, api: module.api(), module, admin, base }
    }

    /// As a visitor.
    pub async fn get(&self, path: &str) -> TestAnswer {
        self.app.send("GET", &format!("/api/v1{path}"), &[], None).await.unwrap()
    }

    /// As an admin.
    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> TestAnswer {
        self.admin_if(method, path, body, None).await
    }

    /// As an admin, if the ETag is still this.
    pub async fn admin_if(&self, method: &str, path: &str, body: Option<Value>, etag: Option<&str>) -> TestAnswer {
        let mut headers = vec![("authorization", self.admin.as_str())];
        headers.extend(etag.map(|etag| ("if-match", etag)));
        self.app.send(method, &format!("/api/v1{path}"), &headers, body).await.unwrap()
    }

    /// Makes a product; it must work.
    pub async fn product(&self, body: Value) -> Value {
        let answer = self.admin("POST", "/products", Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// Makes a product of one variant with so many on hand; returns the variant's id.
    pub async fn in_stock(&self, title: &str, on_hand: i64) -> VariantId {
        let body = json!({"title": title, "variants": [{"price": usd(1000), "on_hand": on_hand}]});
        variant_id(&self.product(body).await, 0)
    }

    pub async fn category(&self, slug: &str, parent: Option<&str>) -> Value {
        let answer =
            self.admin("POST", "/categories", Some(json!({"name": slug, "slug": slug, "parent": parent}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// The titles of a list.
    pub async fn titles(&self, query: &str) -> Vec<String> {
        let answer = self.get(&format!("/products?{query}")).await;
        assert_eq!(answer.status, 200, "{query}: {}", answer.text);
        titles(&answer.json())
    }

    /// Every title of a list, page by page.
    pub async fn all_titles(&self, query: &str, limit: usize) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = self.get(&format!("/products?{query}&limit={limit}{cursor}")).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text);
            found.extend(titles(&answer.json()));
            match answer.json()["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    pub async fn snapshot(&self, variant: VariantId) -> VariantSnapshot {
        self.api.variants(&[variant]).await.unwrap().pop().unwrap()
    }

    /// On hand and reserved, as an admin sees them.
    pub async fn level(&self, variant: VariantId) -> (i64, i64) {
        let seen = self.admin("GET", &format!("/variants/{variant}"), None).await.json();
        (seen["on_hand"].as_i64().unwrap(), seen["reserved"].as_i64().unwrap())
    }

    /// As the database's owner.
    pub async fn run(&self, statements: &str) {
        let owner = self.base.owner().await;
        owner.batch_execute(&format!("SET search_path = products, public; {statements}")).await.unwrap();
    }

    /// The rows of a query with one text column.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        let owner = self.base.owner().await;
        owner.batch_execute("SET search_path = products, public").await.unwrap();
        owner.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The rules that the books break, with their subjects.
    pub async fn findings(&self) -> Vec<(String, String)> {
        let report = self.module.verify().await.unwrap();
        report.findings.into_iter().map(|finding| (finding.check.to_owned(), finding.subject)).collect()
    }
}

pub fn deps(base: &TestDb, redis: Redis) -> ProductDeps {
    ProductDeps { db: base.db("products"), redis, settings: ProductSettings::default() }
}

pub fn usd(amount: i64) -> Value {
    json!({"amount": amount, "currency": "USD"})
}

pub fn titles(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()).collect()
}

pub fn variant_id(product: &Value, index: usize) -> VariantId {
    product["variants"][index]["id"].as_str().unwrap().parse().unwrap()
}

/// A product of one size each, with prices of 10, 20, … dollars.
pub fn shirt(title: &str, sizes: &[&str]) -> Value {
    let variants: Vec<Value> = sizes
        .iter()
        .zip(1..)
        .map(|(size, tens)| json!({"option_values": {"Size": size}, "price": usd(tens * 1000), "on_hand": 5}))
        .collect();
    json!({"title": title, "options": [{"name": "Size", "values": sizes}], "variants": variants})
}

pub fn reserve(order: OrderId, lines: &[(VariantId, i64)]) -> ReserveStock {
    let lines = lines.iter().map(|&(variant_id, quantity)| StockLine { variant_id, quantity }).collect();
    ReserveStock { order_id: order, lines, expires_at: chrono::Utc::now() + chrono::TimeDelta::minutes(30) }
}
