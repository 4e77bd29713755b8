//! Copies on two levels: one load for many, nothing old after it was forgotten, lives that add up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use eshopz_kernel::Fault;
use eshopz_platform::cache::{Copies, CopiesConfig, Redis};
use eshopz_testkit::redis::TestRedis;
use futures::future::join_all;
use tokio::sync::Notify;

#[path = "cache_servers.rs"]
mod servers;

const LONG: Duration = Duration::from_secs(60);

fn config(memory_life: Duration, redis_life: Duration) -> CopiesConfig {
    CopiesConfig { module: "test", capacity: 1_000, memory_life, redis_life }
}

/// A cache as a process of its own has it.
fn pod(server: &TestRedis, memory_life: Duration, redis_life: Duration) -> Copies<u64> {
    Copies::new("test", Redis::new(Some(&server.url())).unwrap(), config(memory_life, redis_life))
}

/// What is kept elsewhere, and how often it was asked for.
#[derive(Default)]
struct Original {
    value: AtomicU64,
    loads: AtomicU64,
}

impl Original {
    async fn load(&self, takes: Duration) -> Result<u64, Fault> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let value = self.value.load(Ordering::SeqCst);
        tokio::time::sleep(takes).await;
        Ok(value)
    }

    fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }

    fn loads(&self) -> u64 {
        self.loads.load(Ordering::SeqCst)
    }
}

fn key() -> [String; 1] {
    ["a".to_owned()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_on_two_pods_one_loads() {
    let server = TestRedis::start();
    let original = Original::default();
    original.set(7);
    let pods = [pod(&server, LONG, LONG), pod(&server, LONG, LONG)];
    let gets = (0..100).map(|n| pods[n % 2].get("a", original.load(Duration::from_millis(20))));
    assert!(join_all(gets).await.into_iter().all(|got| got.unwrap() == 7));
    assert_eq!(original.loads(), 1);

    let alone = [(); 2].map(|()| Copies::<u64>::new("test", Redis::none(), config(LONG, LONG)));
    let gets = (0..100).map(|n| alone[n % 2].get("a", original.load(Duration::from_millis(20))));
    assert!(join_all(gets).await.into_iter().all(|got| got.unwrap() == 7));
    assert_eq!(original.loads(), 3, "one each without Redis");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_load_elsewhere_is_not_waited_for_long() {
    let server = TestRedis::start();
    let (slow, other) = (pod(&server, LONG, LONG), pod(&server, LONG, LONG));
    let hold = Arc::new(Notify::new());
    let release = Arc::clone(&hold);
    let loading = tokio::spawn(async move {
        slow.get("a", async {
            hold.notified().await;
            Ok(1)
        })
        .await
    });
    let began = Instant::now();
    while server.ask("EXISTS {eshopz:copy:test:a}:lease") != ":1" {
        assert!(began.elapsed() < Duration::from_secs(30), "nobody has the lease");
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    assert_eq!(other.get("a", async { Ok(2) }).await.unwrap(), 2);
    // The lease lives for three seconds.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(server.ask("EXISTS eshopz:copy:test:a"), ":0", "only who holds the lease stores");
    release.notify_one();
    assert_eq!(loading.await.unwrap().unwrap(), 1);
    assert_eq!(server.ask("EXISTS eshopz:copy:test:a"), ":1");
}

#[tokio::test]
async fn what_is_forgotten_is_loaded_anew_everywhere() {
    let server = TestRedis::start();
    let original = Original::default();
    let [one, two] = [pod(&server, LONG, LONG), pod(&server, LONG, LONG)];
    for pod in [&one, &two] {
        assert_eq!(pod.get("a", original.load(Duration::ZERO)).await.unwrap(), 0);
    }
    assert_eq!(original.loads(), 1, "the second found it in Redis");
    original.set(1);
    assert!(one.forget(&key()).await);
    assert_eq!(one.get("a", original.load(Duration::ZERO)).await.unwrap(), 1);
    assert_eq!(two.get("a", original.load(Duration::ZERO)).await.unwrap(), 0, "nobody has told it");
    two.forget_here(&key());
    assert_eq!(two.get("a", original.load(Duration::ZERO)).await.unwrap(), 1);
    assert_eq!(original.loads(), 2);
}

#[tokio::test]
async fn a_load_under_way_leaves_nothing_old_behind() {
    let server = TestRedis::start();
    let redis = |on: bool| Redis::new(on.then(|| server.url()).as_deref()).unwrap();
    for with_redis in [true, false] {
        let one = Copies::<u64>::new("test", redis(with_redis), config(LONG, LONG));
        let two = Copies::<u64>::new("test", redis(with_redis), config(LONG, LONG));
        let (started, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (ours, begun, gate) = (one.clone(), Arc::clone(&started), Arc::clone(&go));
        let early = tokio::spawn(async move {
            ours.get("a", async {
                begun.notify_one();
                gate.notified().await;
                Ok(1)
            })
            .await
        });
        started.notified().await;
        // The original is 2 from now on.
        one.forget(&key()).await;
        two.forget_here(&key());
        let late = one.get("a", async { Ok(2) });
        let (late, ()) = tokio::join!(late, async {
            tokio::task::yield_now().await;
            go.notify_one();
        });
        assert_eq!(late.unwrap(), 2, "who came after the change does not get what was read before");
        assert_eq!(early.await.unwrap().unwrap(), 1);
        for pod in [&one, &two] {
            assert_eq!(pod.get("a", async { Ok(2) }).await.unwrap(), 2);
        }
        one.forget(&key()).await;
    }
}

#[tokio::test]
async fn failures_are_not_kept() {
    let server = TestRedis::start();
    let pods = [pod(&server, LONG, LONG), pod(&server, LONG, LONG)];
    for pod in &pods {
        let fault = pod.get("a", async { Err(Fault::not_found("thing")) }).await.unwrap_err();
        assert_eq!(fault.code, "not_found");
        assert_eq!(server.ask("EXISTS {eshopz:copy:test:a}:lease"), ":0", "a lease was left behind");
    }
    assert_eq!(pods[1].get("a", async { Ok(3) }).await.unwrap(), 3);
    assert_eq!(pods[0].get("a", async { Ok(4) }).await.unwrap(), 3);
}

#[tokio::test]
async fn another_takes_over_from_who_goes_away() {
    let copies = Copies::<u64>::new("test", Redis::none(), config(LONG, LONG));
    let started = Arc::new(Notify::new());
    let (ours, begun) = (copies.clone(), Arc::clone(&started));
    let gone = tokio::spawn(async move {
        ours.get("a", async {
            begun.notify_one();
            std::future::pending().await
        })
        .await
    });
    started.notified().await;
    let waiting = tokio::spawn({
        let copies = copies.clone();
        async move { copies.get("a", async { Ok(5) }).await }
    });
    tokio::task::yield_now().await;
    gone.abort();
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap().unwrap(), 5);
}

/// Gets until another value comes; how long that took.
async fn until(copies: &Copies<u64>, value: u64, original: &Original) -> Duration {
    let began = Instant::now();
    while copies.get("a", original.load(Duration::ZERO)).await.unwrap() != value {
        assert!(began.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_copy_from_redis_lives_in_memory_for_the_rest_of_its_life_only() {
    let server = TestRedis::start();
    let life = Duration::from_millis(600);
    let [one, two] = [pod(&server, life, life), pod(&server, life, life)];
    let original = Original::default();
    let began = Instant::now();
    assert_eq!(one.get("a", original.load(Duration::ZERO)).await.unwrap(), 0);
    original.set(1);
    // Half of its life is over when the other one takes it from Redis.
    until(&two, 0, &original).await;
    while began.elapsed() < life / 2 {
        two.forget_here(&key());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(two.get("a", original.load(Duration::ZERO)).await.unwrap(), 0);
    until(&two, 1, &original).await;
    assert!(began.elapsed() < life + Duration::from_millis(250), "{:?}", began.elapsed());
}

#[tokio::test]
async fn while_it_does_not_hear_of_changes_nothing_stays_in_memory() {
    let copies = Copies::<u64>::new("test", Redis::none(), config(LONG, LONG));
    let original = Original::default();
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(original.loads(), 1);
    copies.set_current(false);
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(original.loads(), 3);
    copies.set_current(true);
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(original.loads(), 4);
    copies.forget_all_here();
    copies.get("a", original.load(Duration::ZERO)).await.unwrap();
    assert_eq!(original.loads(), 5);
}

#[tokio::test]
async fn hits_and_misses_are_counted() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let seen = recorder.handle();
    // For this thread, on which all of the test runs.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let mut server = TestRedis::start();
    let [one, two] = [pod(&server, LONG, LONG), pod(&server, LONG, LONG)];
    let original = Original::default();
    for pod in [&one, &one, &one, &two] {
        pod.get("a", original.load(Duration::ZERO)).await.unwrap();
    }
    server.kill();
    one.get("b", original.load(Duration::ZERO)).await.unwrap();
    let text = seen.render();
    for (level, outcome, count) in
        [("memory", "hit", 2), ("memory", "miss", 3), ("redis", "hit", 1), ("redis", "miss", 1), ("redis", "away", 1)]
    {
        let line = format!(
            "eshopz_cache_requests_total{{module=\"test\",cache=\"test\",level=\"{level}\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(text.contains(&line), "{line} in:\n{text}");
    }
    assert!(text.contains("eshopz_redis_up 0"), "{text}");
}
