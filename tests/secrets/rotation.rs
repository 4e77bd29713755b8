//! New secrets while the shop runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eshopz_payment::gateway::signature;
use eshopz_testkit::db::TestDb;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::logins::Login;
use super::places::{Folder, Store, from_secret, patiently};
use crate::support::{MODULES, Process, Shop, free_port, text};

const OLD_KEY: &str = "the old secret key of the shop";
const NEW_KEY: &str = "the new secret key of the shop";

/// Waits until the process has taken so many changes in.
pub async fn changes(process: &Process, count: f64) {
    let started = Instant::now();
    while process.metric(&["eshopz_secrets_looks_total", "\"changed\""]).await < count {
        assert!(started.elapsed() < Duration::from_secs(20), "no change seen: {}", process.said());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks one thing again and again; gives the statuses, one each time it was another than before.
struct Load {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<Vec<u16>>,
}

impl Load {
    fn on(url: String, bearer: Option<String>, body: Option<Value>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let asking = tokio::spawn(async move {
            let client = reqwest::Client::new();
            let mut seen: Vec<u16> = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                let mut request = if body.is_some() { client.post(&url) } else { client.get(&url) };
                if let Some(bearer) = &bearer {
                    request = request.header("authorization", bearer);
                }
                if let Some(body) = &body {
                    request = request.json(body);
                }
                let status = request.send().await.unwrap().status().as_u16();
                if seen.last() != Some(&status) {
                    seen.push(status);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            seen
        });
        Self { stop, asking }
    }

    async fn end(self) -> Vec<u16> {
        self.stop.store(true, Ordering::SeqCst);
        self.asking.await.unwrap()
    }
}

#[tokio::test]
async fn a_new_database_password_needs_no_restart() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let login = Login::new(&db, "first").await;
    let secret = |password: &str| json!({"database_url": login.url(password), "secret_key": OLD_KEY});
    store.create("shop", &secret("first").to_string()).await;
    let mut process = folder.serve("all", &from_secret(&store, "shop")).await;
    let carts = Load::on(format!("{}/api/v1/carts", process.public()), None, Some(json!({})));

    // As a rotation goes: the server first, then the secret. Connections that are open stay.
    login.change_password("second").await;
    assert!(!login.can_enter("first").await);
    store.put("shop", &secret("second")).await;
    changes(&process, 1.0).await;
    // Now every connection has to be made anew.
    login.throw_out().await;
    let shop = Shop::new(process.public(), db, folder.0.join("mail"), 1);
    patiently(&shop, "POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
    let seen = carts.end().await;
    assert!(seen.iter().all(|status| [201, 503].contains(status)), "{seen:?}");

    // The other way round, as by hand: everybody is thrown out, and the secret comes late.
    let carts = Load::on(format!("{}/api/v1/carts", process.public()), None, Some(json!({})));
    login.change_password("third").await;
    login.throw_out().await;
    shop.register_refused().await;
    store.put("shop", &secret("third")).await;
    changes(&process, 2.0).await;
    patiently(&shop, "POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
    shop.register("grace@example.com").await;
    let seen = carts.end().await;
    assert!(seen.iter().all(|status| [201, 503].contains(status)), "{seen:?}");
    assert_eq!(process.terminate().await, 0);
}

#[tokio::test]
async fn a_database_url_that_leads_nowhere_changes_nothing() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let login = Login::new(&db, "first").await;
    let secret = |url: String| json!({"database_url": url, "secret_key": OLD_KEY});
    store.create("shop", &secret(login.url("first")).to_string()).await;
    let mut process = folder.serve("all", &from_secret(&store, "shop")).await;
    let carts = Load::on(format!("{}/api/v1/carts", process.public()), None, Some(json!({})));
    let elsewhere = |database: &str| login.url("first").replace(&login.place().1, database);
    let wrong = [
        (login.url("wrong"), "password authentication failed"),
        (elsewhere("no_such_database"), "does not exist"),
        // There, but without a shop in it.
        (elsewhere("postgres"), "outbox"),
        ("postgres://somebody@127.0.0.1:1/shop".to_owned(), "refused"),
    ];
    let mut count = 0.0;
    for (url, reason) in wrong {
        store.put("shop", &secret(url)).await;
        count += 1.0;
        changes(&process, count).await;
        // Connections that are made now lead to where the shop still is.
        login.throw_out().await;
        let said = folder.said("all");
        let told = said.lines().rfind(|line| line.contains("the cart module")).unwrap_or(&said);
        assert!(told.contains("new secrets are refused") && told.contains(reason), "{told}");
    }
    // The next password, in the secret before the server has it.
    store.put("shop", &secret(login.url("second"))).await;
    changes(&process, count + 1.0).await;
    let seen = carts.end().await;
    assert!(seen.iter().all(|status| [201, 503].contains(status)), "{seen:?}");
    let shop = Shop::new(process.public(), db, folder.0.join("mail"), 1);
    shop.send("POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
    login.change_password("second").await;
    login.throw_out().await;
    patiently(&shop, "POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
    assert_eq!(process.terminate().await, 0);
}

/// Left to itself, the process would look again in an hour.
#[tokio::test]
async fn a_refused_password_has_the_secret_looked_at_soon() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let login = Login::new(&db, "first").await;
    let secret = |password: &str| json!({"database_url": login.url(password), "secret_key": OLD_KEY});
    store.create("shop", &secret("first").to_string()).await;
    let mut environment = from_secret(&store, "shop");
    environment.push(("ESHOPZ_SECRETS_REFRESH_SECONDS", "3600".to_owned()));
    let started = Instant::now();
    let mut process = folder.serve("all", &environment).await;
    let shop = Shop::new(process.public(), db, folder.0.join("mail"), 1);
    let carts = Load::on(format!("{}/api/v1/carts", process.public()), None, Some(json!({})));

    login.change_password("second").await;
    login.throw_out().await;
    shop.register_refused().await;
    store.put("shop", &secret("second")).await;
    changes(&process, 1.0).await;
    // And with the secret first.
    store.put("shop", &secret("third")).await;
    login.change_password("third").await;
    login.throw_out().await;
    changes(&process, 2.0).await;
    patiently(&shop, "POST", "/api/v1/carts", &[], Some(json!({}))).await.expect(201);
    let looks = process.metric(&["eshopz_secrets_looks_total"]).await;
    assert!(looks <= started.elapsed().as_secs_f64() / 2.0, "{looks} looks");
    let seen = carts.end().await;
    assert!(seen.iter().all(|status| [201, 503].contains(status)), "{seen:?}");
    assert_eq!(process.terminate().await, 0);
}

impl Shop {
    /// Waits until the shop says that it is out of order.
    async fn register_refused(&self) {
        let started = Instant::now();
        while self.send("POST", "/api/v1/carts", &[], Some(json!({}))).await.status != 503 {
            assert!(started.elapsed() < Duration::from_secs(20), "it goes on without its database");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Two processes that call each other, and a token that must stay good.
#[tokio::test]
async fn a_new_secret_key_signs_nobody_out_and_refuses_no_call() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    store.create("shop", &json!({"database_url": db.url, "secret_key": OLD_KEY}).to_string()).await;
    let (port, others) = (free_port(), "product,cart,payment,order");
    let mut environment = from_secret(&store, "shop");
    environment.push(("ESHOPZ_USER_URL", format!("http://127.0.0.1:{}", port + 1_000)));
    let second_port = free_port();
    for module in ["PRODUCT", "CART", "PAYMENT", "ORDER"] {
        let name: &'static str = format!("ESHOPZ_{module}_URL").leak();
        environment.push((name, format!("http://127.0.0.1:{}", second_port + 1_000)));
    }
    let mut first = folder.start("user", port, &environment);
    first.wait_until_ready().await;
    let mut second = folder.start(others, second_port, &environment);
    second.wait_until_ready().await;
    let users = Shop::new(first.public(), db, folder.0.join("mail"), 2);
    let bearer = users.register("ada@example.com").await;
    // To be answered, the second asks the first whether the session is good.
    let orders = Load::on(format!("{}/api/v1/orders", second.public()), Some(bearer.clone()), None);

    let both = json!({"database_url": users.db.url, "secret_key": NEW_KEY, "secret_key_previous": OLD_KEY});
    store.put("shop", &both).await;
    changes(&first, 1.0).await;
    changes(&second, 1.0).await;
    // Past the looks after which tokens are signed with the new one.
    for process in [&first, &second] {
        let looks = process.metric(&["eshopz_secrets_looks_total"]).await;
        let started = Instant::now();
        while process.metric(&["eshopz_secrets_looks_total"]).await < looks + 4.0 {
            assert!(started.elapsed() < Duration::from_secs(20), "it looks no more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(orders.end().await, [200], "{}\n{}", first.said(), second.said());

    // A start with both reads the signing key that the old one encrypts; the token is still good.
    assert_eq!(first.terminate().await, 0);
    first.start();
    first.wait_until_ready().await;
    users.get("/api/v1/users/me", &[("authorization", &bearer)]).await;

    // With the new one alone the signing key cannot be read, and the program says what to do.
    store.put("shop", &json!({"database_url": users.db.url, "secret_key": NEW_KEY})).await;
    assert_eq!(first.terminate().await, 0);
    let refused = store.run("shop", &["serve", "--modules", "user", "--listen", &format!("127.0.0.1:{port}")]);
    let said = text(&refused);
    assert!(!refused.status.success() && said.contains("ESHOPZ_SECRET_KEY_PREVIOUS"), "{said}");
    assert!(!said.contains(OLD_KEY) && !said.contains(NEW_KEY), "{said}");
    assert_eq!(second.terminate().await, 0);
}

#[tokio::test]
async fn a_new_webhook_secret_counts_beside_the_old_one() {
    let (db, store, folder) = (TestDb::new(&MODULES).await, Store::start(), Folder::new());
    let secret = |webhooks: &str| json!({"database_url": db.url, "webhook_secret": webhooks});
    store.create("shop", &secret("whsec_first").to_string()).await;
    let process = folder.serve("all", &from_secret(&store, "shop")).await;
    let send = async |event: &str, secret: &str| {
        let body = json!({"id": event, "type": "unknown", "data": {"object": {"id": "x"}}}).to_string();
        let header = signature::sign(secret, chrono::Utc::now().timestamp(), &body);
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/payments/webhooks/sandbox", process.public()))
            .header("sandbox-signature", header)
            .header("content-type", "application/json");
        request.body(body).send().await.unwrap().status().as_u16()
    };
    assert_eq!((send("evt_1", "whsec_first").await, send("evt_2", "whsec_second").await), (200, 400));
    store.put("shop", &secret("whsec_second")).await;
    changes(&process, 1.0).await;
    assert_eq!((send("evt_3", "whsec_first").await, send("evt_4", "whsec_second").await), (200, 200));
    assert_eq!(send("evt_5", "whsec_third").await, 400);
}
