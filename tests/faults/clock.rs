//! The clock of the shop's machine jumps, an hour forwards and an hour backwards, or more than a day, while
//! PostgreSQL's does not.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::assert_all_well;
use crate::support::{Deployment, Folder, Load, Plan, Shop, Topology, id};
use crate::topologies::slot;

const HOUR: i64 = 3_600;

/// Debian's libfaketime, of the architecture of this machine.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut places = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    places.find(|place| place.exists()).expect("libfaketime is needed; scripts/test installs it")
}

/// A clock that can be put forward and back, for the processes that are told of it.
struct Clock(PathBuf);

impl Clock {
    fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.write(0);
        clock
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            // Time that passes is the same on every clock.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }

    fn write(&self, seconds: i64) {
        let draft = self.0.with_extension("draft");
        std::fs::write(&draft, format!("{seconds:+}")).unwrap();
        std::fs::rename(draft, &self.0).unwrap();
    }

    /// Puts it so far from the true time, and waits until every process shows it.
    async fn set(&self, deployment: &Deployment, seconds: i64) {
        self.write(seconds);
        let since = Instant::now();
        for process in &deployment.processes {
            loop {
                let answer = reqwest::get(format!("{}/openapi.json", process.public())).await.unwrap();
                let shown = answer.headers()["date"].to_str().unwrap().to_owned();
                let shown = DateTime::parse_from_rfc2822(&shown).unwrap().to_utc();
                if (shown - Utc::now() - TimeDelta::seconds(seconds)).abs() < TimeDelta::seconds(30) {
                    break;
                }
                assert!(since.elapsed() < Duration::from_secs(20), "{} shows {shown}", process.name);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Waits until unpaid orders have been looked for twice more.
async fn until_expiry_has_run(deployment: &Deployment) {
    let runs = async || {
        let parts = ["eshopz_job_runs_total", "job=\"order.expire_unpaid\""];
        deployment.metric(eshopz::modules::Module::Order, &parts).await
    };
    let (before, since) = (runs().await, Instant::now());
    while runs().await < before + 2.0 {
        assert!(since.elapsed() < Duration::from_secs(40), "the job does not run");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// An unpaid order that is nobody's to cancel yet becomes a paid one.
async fn pay(shop: &Shop, order: &Value) {
    let of_order = [("x-order-token", order["token"].as_str().unwrap()), ("idempotency-key", "pay")];
    let path = format!("/api/v1/orders/{}", id(order));
    assert_eq!(shop.get(&path, &of_order).await["status"], "pending_payment", "it expired by a wrong clock");
    let confirm = format!("/api/v1/payments/{}/confirm", id(&order["payment"]));
    let visa = json!({"payment_method": "pm_card_visa"});
    shop.send("POST", &confirm, &of_order, Some(visa)).await.expect(200);
    shop.until(&path, &of_order, |order| order["status"] == "paid").await;
}

/// Every order, page by page.
async fn listed(shop: &Shop, admin: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let page = shop.get(&format!("/api/v1/orders?limit=7{next}"), &[("authorization", admin)]).await;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_jumps_an_hour_forwards_and_back() {
    let _slot = slot().await;
    let folder = Folder::new();
    let clock = Clock::new(&folder.0);
    let plan = Plan { environment: clock.environment(), ..Plan::of(Topology::replicas(2)) };
    let deployment = Deployment::start(plan).await;
    let shop = &deployment.shop;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 3).await;
    // No readers: whoever is signed in is signed out by an hour.
    let load = Load::start(shop, 3, 0).await;
    let mut paid_late = Vec::new();
    for there in [HOUR, -HOUR, 0] {
        let unpaid = shop.guest_order(&shirt, 1, None).await;
        clock.set(&deployment, there).await;
        load.go_on(4).await;
        until_expiry_has_run(&deployment).await;
        pay(shop, &unpaid).await;
        paid_late.push(id(&unpaid).to_owned());
    }
    let tally = assert_all_well(shop, load, &paid_late).await;
    let owner = shop.db.owner().await;
    let doubled =
        "SELECT payment_id FROM payments.sandbox_charges WHERE captured_minor > 0 GROUP BY 1 HAVING count(*) > 1";
    assert!(owner.query(doubled, &[]).await.unwrap().is_empty(), "somebody was charged twice");
    let held =
        "SELECT 1 FROM orders.orders o JOIN products.reservations r ON r.order_id = o.id WHERE r.state <> 'sold'";
    assert!(owner.query(held, &[]).await.unwrap().is_empty(), "a reservation ran out by a wrong clock");
    let orders = listed(shop, &admin).await;
    let mut ids: Vec<&str> = orders.iter().map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), orders.len()), (tally.orders.len(), tally.orders.len()), "a page repeats or skips");
    // As text, one of a whole millisecond would be later than others of the same.
    let placed: Vec<DateTime<Utc>> =
        orders.iter().map(|order| order["placed_at"].as_str().unwrap().parse().unwrap()).collect();
    assert!(placed.is_sorted_by(|a, b| a >= b), "{placed:?}");
}

/// Clients repeat their requests for a day by their own clocks, whatever that of a process says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_ahead_no_key_is_forgotten() {
    let _slot = slot().await;
    let folder = Folder::new();
    let clock = Clock::new(&folder.0);
    let plan = Plan { environment: clock.environment(), ..Plan::of(Topology::combined()) };
    let mut deployment = Deployment::start(plan).await;
    let shop = &deployment.shop;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 3).await;
    let order = shop.guest_order(&shirt, 1, Some("pm_card_visa")).await;
    let refunds = format!("/api/v1/payments/{}/refunds", id(&order["payment"]));
    let headers = [("authorization", admin.as_str()), ("idempotency-key", "refund")];
    let body = json!({"amount": {"amount": 1_000, "currency": "USD"}});
    let first = shop.send("POST", &refunds, &headers, Some(body.clone())).await.expect(201);

    let owner = shop.db.owner().await;
    // One whose answer was never written down.
    owner.execute("UPDATE orders.idempotency_keys SET status = NULL, body = NULL", &[]).await.unwrap();
    let keys = async || -> i64 {
        let keys =
            "SELECT (SELECT count(*) FROM payments.idempotency_keys) + (SELECT count(*) FROM orders.idempotency_keys)";
        owner.query_one(keys, &[]).await.unwrap().get(0)
    };
    let before = keys().await;
    // It comes back a day ahead, and sweeps at once.
    deployment.processes[0].kill();
    owner.batch_execute("DELETE FROM payments.leases; DELETE FROM orders.leases").await.unwrap();
    clock.write(25 * HOUR);
    deployment.processes[0].start();
    deployment.processes[0].wait_until_ready().await;
    clock.set(&deployment, 25 * HOUR).await;
    let shop = &deployment.shop;
    for schema in ["payments", "orders"] {
        let swept = format!(
            "SELECT 1 WHERE $1 = '' AND NOT EXISTS (SELECT FROM {schema}.leases \
             WHERE name = 'platform.sweep' AND until > now() + interval '31 seconds')"
        );
        shop.until_none(&swept, "").await;
    }
    assert!(before >= 2 && keys().await == before, "a wrong clock forgets keys");
    clock.set(&deployment, 0).await;
    let again = shop.send("POST", &refunds, &headers, Some(body)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.expect(201)["id"], first["id"]);
    let twice = owner.query("SELECT 1 FROM payments.transactions WHERE kind = 'refund'", &[]).await.unwrap();
    assert_eq!(twice.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_behind_no_cart_is_out_of_date() {
    let _slot = slot().await;
    let folder = Folder::new();
    let clock = Clock::new(&folder.0);
    let plan = Plan { environment: clock.environment(), ..Plan::of(Topology::combined()) };
    let deployment = Deployment::start(plan).await;
    let shop = &deployment.shop;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 3).await;
    clock.set(&deployment, -365 * 24 * HOUR).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let cart = shop.get(&format!("/api/v1/carts/{cart}"), &[("x-cart-token", &token)]).await;
    let ends = DateTime::parse_from_rfc3339(cart["expires_at"].as_str().unwrap()).unwrap();
    assert!(ends > Utc::now() + TimeDelta::days(1), "it ends at {ends}");
}
