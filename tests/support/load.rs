//! Steady load by closed-loop buyers and readers, who behave as a good client does: a clean 503 is tried again
//! with the same key, and everything else must go well at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Shop, address};

/// How long somebody goes on trying: twice the lease of a key whose process died, and a little.
const PATIENCE: Duration = Duration::from_secs(45);

/// Buyers and readers at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    working: JoinSet<Tally>,
}

/// What they met with.
#[derive(Debug, Default)]
pub struct Tally {
    pub requests: u64,
    /// Clean 503s, each of which was tried again.
    pub unavailable: u64,
    /// Whatever else should not have been: at most a hundred of them in words.
    pub failures: Vec<String>,
    /// The orders that were placed and paid.
    pub orders: Vec<String>,
    pub latencies: Vec<Duration>,
    /// For each operation, when it went well.
    good: BTreeMap<&'static str, Vec<Instant>>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.unavailable += other.unavailable;
        self.failures.extend(other.failures);
        self.orders.extend(other.orders);
        self.latencies.extend(other.latencies);
        for (operation, times) in other.good {
            self.good.entry(operation).or_default().extend(times);
        }
    }

    /// The latency that so many of a hundred requests stayed below.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }

    /// The longest time in which some operation went well for nobody.
    pub fn longest_gap(&self) -> (Duration, &'static str) {
        let gap = |(operation, times): (&&'static str, &Vec<Instant>)| {
            let mut times = times.clone();
            times.sort_unstable();
            let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
            (gap, *operation)
        };
        self.good.iter().map(gap).max().unwrap()
    }

    /// Every order is in the database, and no other.
    pub async fn assert_orders(&self, shop: &Shop) {
        let placed: BTreeSet<&String> = self.orders.iter().collect();
        assert_eq!(placed.len(), self.orders.len(), "two checkouts had one order");
        let rows = shop.db.owner().await.query("SELECT id::text FROM orders.orders", &[]).await.unwrap();
        let kept: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
        let kept: BTreeSet<&String> = kept.iter().collect();
        let (lost, doubled): (Vec<_>, Vec<_>) =
            (placed.difference(&kept).collect(), kept.difference(&placed).collect());
        assert!(lost.is_empty() && doubled.is_empty(), "lost: {lost:?}, that nobody knows of: {doubled:?}");
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (gap, operation) = self.longest_gap();
        write!(
            f,
            "{} requests, {} orders, {} times 503, {} failures, p50 {:.0?}, p99 {:.0?}, longest gap {gap:.0?} ({operation})",
            self.requests,
            self.orders.len(),
            self.unavailable,
            self.failures.len(),
            self.percentile(50),
            self.percentile(99),
        )
    }
}

impl Load {
    /// So many guests who buy, and so many people who look around, half of them signed in.
    pub async fn start(shop: &Shop, buyers: usize, readers: usize) -> Self {
        let admin = shop.admin().await;
        let variants = [
            shop.product(&admin, "Left Glove", 1_000, 1_000_000).await,
            shop.product(&admin, "Right Glove", 500, 1_000_000).await,
        ];
        let ada = shop.register(&shop.email("reader")).await;
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let refused = Arc::new(AtomicU64::new(0));
        let mut working = JoinSet::new();
        for number in 0..buyers + readers {
            let person = Person {
                // A connection for each request: one that is kept could be closed by the ingress, when it is
                // told of other processes, in the moment in which it is used again.
                client: Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap(),
                base: shop.base.clone(),
                variants: variants.clone(),
                token: ada.clone(),
                number,
                done: Arc::clone(&done),
                refused: Arc::clone(&refused),
                tally: Tally::default(),
            };
            working.spawn(person.work(number < buyers, Arc::clone(&stop)));
        }
        Self { stop, done, refused, working }
    }

    /// How often somebody was told to come again.
    pub fn unavailable(&self) -> u64 {
        self.refused.load(Ordering::SeqCst)
    }

    /// Waits until so many more checkouts have been done.
    pub async fn go_on(&self, checkouts: u64) {
        let (from, started) = (self.done.load(Ordering::SeqCst), Instant::now());
        while self.done.load(Ordering::SeqCst) < from + checkouts {
            assert!(started.elapsed() < Duration::from_secs(60), "nobody buys any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets everybody finish what they began.
    pub async fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Tally::default();
        while let Some(tally) = self.working.join_next().await {
            all.add(tally.unwrap());
        }
        all
    }
}

struct Person {
    client: Client,
    base: String,
    variants: [String; 2],
    token: String,
    number: usize,
    done: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    tally: Tally,
}

impl Person {
    async fn work(mut self, buys: bool, stop: Arc<AtomicBool>) -> Tally {
        let mut round = 0;
        while !stop.load(Ordering::SeqCst) {
            round += 1;
            let outcome = if buys { self.check_out(round).await } else { self.look_around(round).await };
            if let Err(failure) = outcome
                && self.tally.failures.len() < 100
            {
                self.tally.failures.push(failure);
            }
            self.done.fetch_add(u64::from(buys), Ordering::SeqCst);
        }
        self.tally
    }

    async fn check_out(&mut self, round: usize) -> Result<(), String> {
        let cart = self.ask("make a cart", 201, Method::POST, "/api/v1/carts", &[], Some(json!({}))).await?;
        let (cart, token) = (member(&cart, "id")?, member(&cart, "token")?);
        let mine = [("x-cart-token", token.as_str())];
        let mut filled = Value::Null;
        for variant in self.variants.clone() {
            let line = json!({"variant_id": variant, "quantity": 1});
            let path = format!("/api/v1/carts/{cart}/items");
            filled = self.ask("add to a cart", 201, Method::POST, &path, &mine, Some(line)).await?;
        }
        let key = format!("order-{}-{round}", self.number);
        let headers = [mine[0], ("idempotency-key", key.as_str())];
        let order = json!({
            "cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
            "payment_method": "pm_card_visa", "expected_total": filled["totals"]["total"],
        });
        let order = self.ask("order", 201, Method::POST, "/api/v1/orders", &headers, Some(order)).await?;
        let (id, token) = (member(&order, "id")?, member(&order, "token")?);
        self.tally.orders.push(id.clone());
        if order["status"] != "paid" {
            return Err(format!("an order is answered that is not paid: {order}"));
        }
        let path = format!("/api/v1/orders/{id}");
        let read = self.ask("read an order", 200, Method::GET, &path, &[("x-order-token", &token)], None).await?;
        if read["status"] == "paid" { Ok(()) } else { Err(format!("a paid order is not any more: {read}")) }
    }

    async fn look_around(&mut self, round: usize) -> Result<(), String> {
        let variant = format!("/api/v1/variants/{}", self.variants[0]);
        self.ask("read a variant", 200, Method::GET, &variant, &[], None).await?;
        self.ask("list products", 200, Method::GET, "/api/v1/products?limit=5", &[], None).await?;
        if self.number.is_multiple_of(2) {
            let token = self.token.clone();
            let me = [("authorization", token.as_str())];
            let path = ["/api/v1/users/me", "/api/v1/carts/mine", "/api/v1/orders", "/api/v1/payments"][round % 4];
            self.ask("read one's own", 200, Method::GET, path, &me, None).await?;
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        operation: &'static str,
        expected: u16,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value, String> {
        let since = Instant::now();
        let mut again = false;
        loop {
            let request = self.client.request(method.clone(), format!("{}{path}", self.base));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let request = if let Some(body) = &body { request.json(body) } else { request };
            let asked = Instant::now();
            let response = request.send().await.map_err(|error| format!("{operation}: no answer: {error:?}"))?;
            self.tally.requests += 1;
            self.tally.latencies.push(asked.elapsed());
            let (status, head) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.map_err(|error| format!("{operation}: half an answer: {error:?}"))?;
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            // What was added and not answered, since the database went in between, is there when it is added again.
            let is_more = again && operation == "add to a cart" && status == 200;
            if status == expected || is_more {
                self.tally.good.entry(operation).or_default().push(Instant::now());
                return Ok(body);
            }
            let is = |name: &str, value: &str| head.get(name).is_some_and(|given| given == value);
            let is_clean = is("content-type", "application/problem+json") && head.contains_key("retry-after");
            // The first attempt may still be at work in the process that has closed its doors.
            let waits = again && status == 409 && body["code"] == "idempotency_in_progress";
            if !(is_clean && (status == 503 || waits)) || since.elapsed() > PATIENCE {
                return Err(format!("{operation}: {status} instead of {expected}: {text}"));
            }
            self.tally.unavailable += u64::from(status == 503);
            self.refused.fetch_add(u64::from(status == 503), Ordering::SeqCst);
            again = true;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn member(value: &Value, name: &str) -> Result<String, String> {
    value[name].as_str().map(str::to_owned).ok_or_else(|| format!("no `{name}` in {value}"))
}
