//! A Redis that dies, hangs, comes back: every answer is right, none takes long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eshopz_platform::cache::{Copies, CopiesConfig, Counters, Redis, Throttle};
use eshopz_testkit::redis::TestRedis;
use tokio::task::JoinHandle;

const LIFE: Duration = Duration::from_secs(60);
/// What nothing may take longer than, for the most part.
const BOUND: Duration = Duration::from_millis(150);
const CLIENTS: usize = 16;

/// Only Redis keeps anything.
fn copies(redis: Redis) -> Copies<u64> {
    Copies::new(
        "outage",
        redis,
        CopiesConfig { module: "test", capacity: 1_000, memory_life: Duration::ZERO, redis_life: LIFE },
    )
}

/// Clients that read all the time.
struct Load {
    stop: Arc<AtomicBool>,
    loads: Arc<AtomicU64>,
    gets: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Duration>>>,
}

impl Load {
    fn start(copies: &Copies<u64>) -> Self {
        let (stop, loads, gets) = (Arc::default(), Arc::default(), Arc::default());
        let clients = (0..CLIENTS)
            .map(|_| tokio::spawn(client(copies.clone(), Arc::clone(&stop), Arc::clone(&loads), Arc::clone(&gets))))
            .collect();
        Self { stop, loads, gets, clients }
    }

    /// Waits until gets are answered from Redis again, none by a load.
    async fn until_hits(&self) -> Duration {
        let began = Instant::now();
        loop {
            let (loads, gets) = (self.loads.load(Ordering::SeqCst), self.gets.load(Ordering::SeqCst));
            tokio::time::sleep(Duration::from_millis(20)).await;
            let more = self.gets.load(Ordering::SeqCst) - gets;
            if more > 20 && self.loads.load(Ordering::SeqCst) == loads {
                return began.elapsed();
            }
            assert!(began.elapsed() < Duration::from_secs(20), "Redis is not used again");
        }
    }

    async fn until_loads(&self) {
        let before = self.loads.load(Ordering::SeqCst);
        let began = Instant::now();
        while self.loads.load(Ordering::SeqCst) < before + 200 {
            assert!(began.elapsed() < Duration::from_secs(20), "nothing is loaded");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The 99th of a hundred times that a get took, and the longest.
    async fn end(self) -> (Duration, Duration) {
        self.stop.store(true, Ordering::SeqCst);
        let mut took = Vec::new();
        for client in self.clients {
            took.extend(client.await.unwrap());
        }
        took.sort();
        (took[took.len() * 99 / 100], took[took.len() - 1])
    }
}

async fn client(
    copies: Copies<u64>,
    stop: Arc<AtomicBool>,
    loads: Arc<AtomicU64>,
    gets: Arc<AtomicU64>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    for n in (0..50_u64).cycle() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let began = Instant::now();
        let load = async {
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(n * 3)
        };
        assert_eq!(copies.get(&n.to_string(), load).await.unwrap(), n * 3);
        took.push(began.elapsed());
        gets.fetch_add(1, Ordering::SeqCst);
    }
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_killed_is_done_without_and_used_again() {
    let mut server = TestRedis::start();
    let load = Load::start(&copies(Redis::new(Some(&server.url())).unwrap()));
    load.until_hits().await;
    server.kill();
    load.until_loads().await;
    server.restart();
    let back = load.until_hits().await;
    let (p99, longest) = load.end().await;
    println!("killed: p99 {p99:?}, longest {longest:?}, used again after {back:?}");
    assert!(p99 < BOUND && longest < 10 * BOUND, "p99 {p99:?}, longest {longest:?}");
    assert!(back < Duration::from_secs(2), "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_hangs_is_done_without_and_used_again() {
    let server = TestRedis::start();
    let load = Load::start(&copies(Redis::new(Some(&server.url())).unwrap()));
    load.until_hits().await;
    server.stop();
    load.until_loads().await;
    server.cont();
    let back = load.until_hits().await;
    let (p99, longest) = load.end().await;
    println!("hung: p99 {p99:?}, longest {longest:?}, used again after {back:?}");
    assert!(p99 < BOUND && longest < 10 * BOUND, "p99 {p99:?}, longest {longest:?}");
    assert!(back < Duration::from_secs(2), "{back:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_costs_no_more_than_a_moment() {
    let mut server = TestRedis::start();
    let load = Load::start(&copies(Redis::new(Some(&server.url())).unwrap()));
    load.until_hits().await;
    // The quickest of three: a machine full of tests can stop for a moment, too.
    let mut back = Vec::new();
    for _ in 0..3 {
        server.restart();
        back.push(load.until_hits().await);
    }
    load.end().await;
    assert!(back.iter().any(|back| *back < Duration::from_secs(1)), "{back:?}");
}

#[tokio::test]
async fn what_was_forgotten_while_redis_hung_does_not_come_back() {
    let server = TestRedis::start();
    let ours = copies(Redis::new(Some(&server.url())).unwrap());
    assert_eq!(ours.get("a", async { Ok(1) }).await.unwrap(), 1);
    assert_eq!(ours.get("a", async { Ok(2) }).await.unwrap(), 1);
    server.stop();
    assert!(!ours.forget(&["a".to_owned()]).await, "it cannot have forgotten");
    server.cont();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(ours.get("a", async { Ok(2) }).await.unwrap(), 2);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while server.ask("EXISTS eshopz:copy:outage:a") != ":1" {
        assert!(began.elapsed() < Duration::from_secs(20), "it is not kept again");
        assert_eq!(ours.get("a", async { Ok(2) }).await.unwrap(), 2);
    }
    assert_eq!(ours.get("a", async { Ok(3) }).await.unwrap(), 2, "it is kept again");
}

#[tokio::test]
async fn counters_go_on_without_redis() {
    let mut server = TestRedis::start();
    let counters = Counters::new(Redis::new(Some(&server.url())).unwrap());
    let throttle = Throttle::new(counters.clone(), "test", 2, 3_600);
    // Another process has a picture of its own, and counts in the same place.
    let elsewhere = Throttle::new(Counters::new(Redis::new(Some(&server.url())).unwrap()), "test", 2, 3_600);
    assert!(throttle.hit("n").await.is_ok() && elsewhere.check("n").await.is_ok());
    assert!(elsewhere.hit("n").await.is_ok() && throttle.check("n").await.is_err());
    let refused = throttle.hit("n").await.unwrap_err();
    assert!(refused.retry_after.is_some_and(|seconds| (1..=3_600).contains(&seconds)), "{refused}");
    assert_eq!(server.ask("HINCRBY eshopz:throttle:test:n present 0"), ":2", "what is refused is not counted");
    server.kill();
    let began = Instant::now();
    assert!(throttle.hit("a").await.is_ok() && throttle.hit("a").await.is_ok());
    assert!(throttle.hit("a").await.is_err());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    server.restart();
    let began = Instant::now();
    while server.ask("EXISTS eshopz:throttle:test:m") == ":0" {
        assert!(began.elapsed() < Duration::from_secs(5), "it does not count in Redis again");
        // Whether it fits does not matter.
        let _ = throttle.hit("m").await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn another_url_takes_over() {
    let (old, new) = (TestRedis::start(), TestRedis::start());
    let redis = Redis::new(Some(&old.url())).unwrap();
    let ours = copies(redis.clone());
    ours.get("a", async { Ok(1) }).await.unwrap();
    assert!(redis.reconfigure(Some("redis://no url at all")).is_err());
    redis.reconfigure(Some(&new.url())).unwrap();
    assert_eq!(ours.get("a", async { Ok(2) }).await.unwrap(), 2);
    assert_eq!((old.ask("DBSIZE"), new.ask("DBSIZE")), (":1".to_owned(), ":1".to_owned()));
    redis.reconfigure(None).unwrap();
    assert_eq!(ours.get("a", async { Ok(3) }).await.unwrap(), 3);
}

#[tokio::test]
async fn the_password_is_never_told() {
    const SECRET: &str = "pl4nted-s3cret";
    for bad in [format!("redis://:{SECRET}@host:port"), format!("redis://:{SECRET} @h/x"), SECRET.to_owned()] {
        let fault = Redis::new(Some(&bad)).unwrap_err();
        assert!(!format!("{fault} {fault:?} {:?}", fault.cause()).contains(SECRET), "{fault:?}");
    }
    let redis = Redis::new(Some(&format!("redis://:{SECRET}@127.0.0.1:1"))).unwrap();
    assert!(!format!("{redis:?} {:?}", Counters::new(redis.clone())).contains(SECRET));
}
