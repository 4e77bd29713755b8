//! Copies of products on two pods over one database, with and without a Redis: a change on one is seen on
//! the other, and a Redis that dies or hangs spoils nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eshopz_kernel::OrderId;
use eshopz_platform::cache::Redis;
use eshopz_product::{Cache, ProductDeps, ProductModule, ProductSettings};
use eshopz_testkit::db::TestDb;
use eshopz_testkit::redis::TestRedis;
use eshopz_testkit::{TestAnswer, TestApp, TestIdentity};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::shop::{reserve, usd, variant_id};

/// A process of the module.
struct Pod {
    app: TestApp,
    module: ProductModule,
    admin: String,
    following: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Pod {
    async fn start(base: &TestDb, identity: &Arc<TestIdentity>, redis: Option<&TestRedis>) -> Self {
        let redis = Redis::new(redis.map(TestRedis::url).as_deref()).unwrap();
        Self::start_with(base, identity, redis, Cache::On).await
    }

    async fn start_with(base: &TestDb, identity: &Arc<TestIdentity>, redis: Redis, cache: Cache) -> Self {
        let settings = ProductSettings { cache, ..ProductSettings::default() };
        let module = ProductModule::new(ProductDeps { db: base.db("products"), redis, settings });
        let configured = module.clone();
        let app = TestApp::start_with(Arc::clone(identity), move |cfg| configured.configure(cfg)).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let following = tokio::spawn(module.clone().follow(stopped));
        let admin = identity.admin();
        Self { app, module, admin, following, stop }
    }

    async fn get(&self, path: &str) -> TestAnswer {
        self.app.send("GET", &format!("/api/v1{path}"), &[], None).await.unwrap()
    }

    async fn admin(&self, method: &str, path: &str, body: Value) -> Value {
        let headers = [("authorization", self.admin.as_str())];
        let answer = self.app.send(method, &format!("/api/v1{path}"), &headers, Some(body)).await.unwrap();
        assert!(answer.status < 300, "{method} {path}: {}", answer.text);
        answer.json()
    }

    /// Reads until it is as it should be; how long that took.
    async fn until(&self, path: &str, is: impl Fn(&TestAnswer) -> bool) -> Duration {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await;
            if is(&answer) {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(1), "{path}: {}", answer.text);
        }
    }

    /// Reads until what it reads is kept in memory: the database could change, and it would not be seen.
    async fn until_kept(&self, base: &TestDb, product: &str) {
        let began = Instant::now();
        loop {
            self.get(&format!("/products/{product}")).await;
            let owner = base.owner().await;
            owner.batch_execute("SET search_path = products, public").await.unwrap();
            let behind = format!("UPDATE products SET vendor = vendor || '+' WHERE id = '{product}' RETURNING vendor");
            let is: String = owner.query_one(&behind, &[]).await.unwrap().get(0);
            if self.get(&format!("/products/{product}")).await.json()["vendor"] != is {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it is never kept");
        }
    }
}

/// Two pods, and a product that both keep.
struct Pods {
    one: Pod,
    two: Pod,
    product: Value,
    base: TestDb,
}

impl Pods {
    async fn start(redis: Option<&TestRedis>) -> Self {
        let base = TestDb::new(&["product"]).await;
        let identity = TestIdentity::shared();
        let one = Pod::start(&base, &identity, redis).await;
        let two = Pod::start(&base, &identity, redis).await;
        let body = json!({"title": "Mug", "handle": "mug", "variants": [{"price": usd(1000), "on_hand": 9}]});
        let product = one.admin("POST", "/products", body).await;
        let pods = Self { one, two, product, base };
        pods.one.until_kept(&pods.base, pods.id()).await;
        pods.two.until_kept(&pods.base, pods.id()).await;
        pods
    }

    fn id(&self) -> &str {
        self.product["id"].as_str().unwrap()
    }

    /// Whether what the first pod answers is seen by the second within a second; both read before.
    async fn seen(&self, what: &str, path: &str, is: impl Fn(&TestAnswer) -> bool) {
        assert!(is(&self.one.get(path).await), "{what}: not even on the pod that changed it");
        println!("{what}: seen elsewhere after {:?}", self.two.until(path, is).await);
        self.one.get(path).await;
    }

    async fn changes(&self) {
        let id = self.id();
        let (by_id, by_handle) = (format!("/products/{id}"), "/products/mug");
        let variant = variant_id(&self.product, 0);
        for path in [by_id.as_str(), by_handle] {
            for pod in [&self.one, &self.two] {
                assert_eq!(pod.get(path).await.json()["title"], "Mug");
            }
        }
        self.one.admin("PATCH", &by_id, json!({"title": "Cup"})).await;
        self.seen("title", &by_id, |answer| answer.json()["title"] == "Cup").await;
        self.seen("title by handle", by_handle, |answer| answer.json()["title"] == "Cup").await;
        self.one.admin("PATCH", &format!("/variants/{variant}"), json!({"price": usd(1200)})).await;
        self.seen("price", &by_id, |answer| answer.json()["variants"][0]["price"]["amount"] == 1200).await;
        self.one.admin("PUT", &format!("/variants/{variant}/stock"), json!({"on_hand": 5})).await;
        let available = |count: i64| move |answer: &TestAnswer| answer.json()["variants"][0]["available"] == count;
        self.seen("stock", &by_id, available(5)).await;
        let order = OrderId::new();
        self.one.module.api().reserve(reserve(order, &[(variant, 2)])).await.unwrap();
        self.seen("reserve", &by_id, available(3)).await;
        self.one.module.api().commit_reservation(order).await.unwrap();
        self.one.module.api().release(order).await.unwrap();
        self.seen("release", &by_id, available(5)).await;

        self.one.admin("POST", "/categories", json!({"name": "Cups", "slug": "cups"})).await;
        self.seen("category", "/categories", |answer| answer.json()["items"][0]["slug"] == "cups").await;
        self.one.admin("PATCH", &by_id, json!({"category": "cups"})).await;
        self.seen("category of", &by_id, |answer| answer.json()["category"] == "cups").await;
        self.one.admin("PATCH", "/categories/cups", json!({"slug": "mugs"})).await;
        self.seen("slug", &by_id, |answer| answer.json()["category"] == "mugs").await;

        self.one.admin("PATCH", &by_id, json!({"handle": "cup"})).await;
        self.seen("new handle", "/products/cup", |answer| answer.status == 200).await;
        self.seen("old handle", by_handle, |answer| answer.status == 404).await;
        let again = json!({"title": "Mug", "handle": "mug", "variants": [{"price": usd(1), "on_hand": 1}]});
        self.one.admin("POST", "/products", again).await;
        self.seen("another's handle", by_handle, |answer| answer.status == 200 && answer.json()["id"] != id).await;
        self.import().await;
        self.one.admin("DELETE", &by_id, Value::Null).await;
        self.seen("archived", &by_id, |answer| answer.status == 404).await;
        self.seen("archived by handle", "/products/cup", |answer| answer.status == 404).await;
    }

    async fn import(&self) {
        let path = "/products/cup";
        assert_eq!(self.two.get(path).await.json()["title"], "Cup");
        let file = "Handle,Title,Variant Price\ncup,Beaker,13\n";
        self.one.module.import(file.as_bytes(), |_| {}).await.unwrap();
        self.seen("import", path, |answer| answer.json()["title"] == "Beaker").await;
    }
}

/// What a list shows of a product; `null` when it is not in it.
fn in_list(answer: &TestAnswer, id: &str) -> Value {
    let list = answer.json();
    list["items"].as_array().unwrap().iter().find(|item| item["id"] == id).cloned().unwrap_or_default()
}

impl Pods {
    /// Changes something on the one, and sees it in a list on both; both have read it before.
    async fn listed(&self, what: &str, path: &str, change: impl Future, is: impl Fn(&TestAnswer) -> bool) {
        for pod in [&self.one, &self.two] {
            assert!(!is(&pod.get(path).await), "{what}: it is so before");
        }
        change.await;
        self.seen(what, path, is).await;
    }

    async fn changes_of_lists(&self) {
        let id = self.id();
        let (variant, by_id) = (variant_id(&self.product, 0), format!("/products/{id}"));
        let list = "/products?limit=5";
        let available = |count: i64| move |list: &TestAnswer| in_list(list, id)["variants"][0]["available"] == count;
        let rename = self.one.admin("PATCH", &by_id, json!({"title": "Cup"}));
        self.listed("title", list, rename, |list| in_list(list, id)["title"] == "Cup").await;
        let order = OrderId::new();
        let api = self.one.module.api();
        self.listed("reserve", list, api.reserve(reserve(order, &[(variant, 2)])), available(7)).await;
        self.listed("sold out", "/products?in_stock=true", self.sell_all(7), |list| in_list(list, id).is_null()).await;
        self.listed("release", "/products?in_stock=true", api.release(order), available(2)).await;
        let body = json!({"title": "Bowl", "handle": "bowl", "variants": [{"price": usd(1), "on_hand": 1}]});
        let bowl = self.one.admin("POST", "/products", body);
        self.listed("new", list, bowl, |list| list.json()["items"].as_array().unwrap().len() == 2).await;
        self.one.admin("POST", "/categories", json!({"name": "Cups", "slug": "cups"})).await;
        let cups = "/products?category=cups";
        let into = self.one.admin("PATCH", &by_id, json!({"category": "cups"}));
        self.listed("into a category", cups, into, |list| in_list(list, id)["category"] == "cups").await;
        let slug = self.one.admin("PATCH", "/categories/cups", json!({"slug": "mugs"}));
        self.listed("category renamed", cups, slug, |list| list.json()["items"] == json!([])).await;
        let file = "Handle,Title,Variant Price\nplate,Plate,13\n";
        let import = self.one.module.import(file.as_bytes(), |_| {});
        self.listed("import", list, import, |list| list.json()["items"].as_array().unwrap().len() == 3).await;
        let archive = self.one.admin("DELETE", &by_id, Value::Null);
        self.listed("archived", list, archive, |list| in_list(list, id).is_null()).await;
    }

    async fn sell_all(&self, count: i64) {
        let line = (variant_id(&self.product, 0), count);
        self.one.module.api().reserve(reserve(OrderId::new(), &[line])).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_follow_every_change_on_both_pods() {
    Pods::start(None).await.changes_of_lists().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_on_the_other_pod_with_redis() {
    let server = TestRedis::start();
    Pods::start(Some(&server)).await.changes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_seen_on_the_other_pod_without_redis() {
    Pods::start(None).await.changes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_or_dies_spoils_nothing() {
    let mut server = TestRedis::start();
    let pods = Pods::start(Some(&server)).await;
    let path = format!("/products/{}", pods.id());
    let rename = async |title: &str| {
        let began = Instant::now();
        pods.one.admin("PATCH", &path, json!({"title": title})).await;
        pods.seen(title, &path, |answer| answer.json()["title"] == title).await;
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    };
    rename("before").await;
    server.stop();
    rename("hung").await;
    server.cont();
    rename("back").await;
    server.kill();
    rename("dead").await;
    server.restart();
    rename("alive").await;
    let began = Instant::now();
    while server.ask(&format!("EXISTS eshopz:copy:product:{}", pods.id())) != ":1" {
        assert!(began.elapsed() < Duration::from_secs(10), "Redis is not used again");
        pods.one.admin("PATCH", &path, json!({"vendor": "again"})).await;
        pods.one.get(&path).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_hears_nothing_keeps_nothing() {
    let pods = Pods::start(None).await;
    let path = format!("/products/{}", pods.id());
    pods.two.stop.send_replace(true);
    let Pods { one, two, base, .. } = pods;
    two.following.await.unwrap();
    one.admin("PATCH", &path, json!({"title": "Unheard"})).await;
    assert_eq!(two.app.send("GET", &format!("/api/v1{path}"), &[], None).await.unwrap().json()["title"], "Unheard");
    drop(base);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_answered_as_the_product_is() {
    let base = TestDb::new(&["product"]).await;
    let identity = TestIdentity::shared();
    let server = TestRedis::start();
    let kept = Pod::start(&base, &identity, Some(&server)).await;
    let read = Pod::start_with(&base, &identity, Redis::none(), Cache::Off).await;
    let body = json!({"title": "Mug", "handle": "mug", "variants": [{"price": usd(1000), "on_hand": 9}]});
    let product = kept.admin("POST", "/products", body).await;
    let id = product["id"].as_str().unwrap();
    for path in [format!("/products/{id}"), "/products/mug".to_owned()] {
        for _ in 0..3 {
            let (kept, read) = (kept.get(&path).await, read.get(&path).await);
            assert_eq!((kept.status, &kept.text), (200, &read.text));
            for header in ["etag", "cache-control", "vary", "content-type"] {
                assert_eq!(kept.header(header), read.header(header), "{header}");
            }
        }
        let etag = kept.get(&path).await.header("etag");
        let headers = [("if-none-match", etag.as_str())];
        let again = kept.app.send("GET", &format!("/api/v1{path}"), &headers, None).await.unwrap();
        assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", etag.clone()));
        // What everybody sees is good for an edit too.
        let headers = [("authorization", kept.admin.as_str()), ("if-match", etag.as_str())];
        let title = Some(json!({"title": path}));
        let edited = kept.app.send("PATCH", &format!("/api/v1/products/{id}"), &headers, title).await.unwrap();
        assert_eq!(edited.status, 200, "{}", edited.text);
    }
    // Admins read the product itself, with its stock.
    let headers = [("authorization", kept.admin.as_str())];
    let seen = kept.app.send("GET", "/api/v1/products/mug", &headers, None).await.unwrap();
    assert_eq!(seen.json()["variants"][0]["on_hand"], 9);
    for path in ["/products/none", "/products/019a0000-0000-7000-8000-000000000000"] {
        assert_eq!((kept.get(path).await.status, kept.get(path).await.status), (404, 404));
    }
}
