//! How long an event is on its way to a listener in the same process, and that a poisoned one does not change it.

use diesel::sql_types::{Double, Text};
use diesel_async::AsyncConnection as _;

use super::*;

/// A listener that is near should have an event within this, at moderate load.
const GOAL: Duration = Duration::from_millis(50);
const EVENTS: i64 = 400;
const BETWEEN: Duration = Duration::from_millis(5);

#[derive(QueryableByName)]
struct Milliseconds {
    #[diesel(sql_type = Double)]
    p50: f64,
    #[diesel(sql_type = Double)]
    p99: f64,
}

impl Widgets {
    /// From an event's transaction to the effect of the listener, by the database's clock.
    async fn lags(&self, listener: &str) -> Milliseconds {
        let query = sql_query(
            "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY lag) AS p50, \
                    percentile_cont(0.99) WITHIN GROUP (ORDER BY lag) AS p99 \
             FROM (SELECT extract(epoch FROM e.at - o.occurred_at)::float8 * 1000 AS lag \
                   FROM effects e JOIN outbox o ON o.id = e.event_id WHERE e.listener = $1 AND e.number >= 0) AS each",
        );
        let mut conn = self.db.conn().await.unwrap();
        eshopz_platform::db::Single::single(query.bind::<Text, _>(listener), &mut conn).await.unwrap()
    }

    /// Publishes at a moderate pace, and measures beside it how long one transaction of three statements takes.
    async fn load(&self) -> Milliseconds {
        let publisher = async {
            for number in 0..EVENTS {
                self.publish(number).await;
                tokio::time::sleep(BETWEEN).await;
            }
        };
        let mut bare = Vec::new();
        let measured = async {
            let mut conn = self.db.conn().await.unwrap();
            for _ in 0..EVENTS {
                let began = Instant::now();
                let transaction = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
                    conn.batch_execute("SELECT 1").await?;
                    conn.batch_execute("SELECT 1").await
                });
                transaction.await.unwrap();
                bare.push(began.elapsed().as_secs_f64() * 1_000.0);
                tokio::time::sleep(BETWEEN).await;
            }
        };
        tokio::join!(publisher, measured);
        bare.sort_by(f64::total_cmp);
        Milliseconds { p50: bare[bare.len() / 2], p99: bare[bare.len() * 99 / 100] }
    }

    async fn until_effects(&self, listener: &str) {
        let effects = format!("effects WHERE listener = '{listener}' AND number >= 0");
        until("the listener has them all", async || self.count(&effects).await == EVENTS).await;
    }
}

/// A machine that is busy with other tests is slow at everything: there it counts in bare transactions.
fn bound(bare: &Milliseconds) -> f64 {
    (GOAL.as_secs_f64() * 1_000.0).max(bare.p99 * 10.0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_listener_has_an_event_within_fifty_milliseconds() {
    let widgets = Widgets::new().await;
    let taker = widgets.taker("test.take");
    let relay = widgets.relay(std::slice::from_ref(&taker), RelayConfig::default());
    let bare = widgets.load().await;
    widgets.until_effects("test.take").await;
    let lag = widgets.lags("test.take").await;
    println!(
        "lag: p50 {:.1} ms, p99 {:.1} ms; a bare transaction: p50 {:.1} ms, p99 {:.1} ms",
        lag.p50, lag.p99, bare.p50, bare.p99
    );
    relay.stop().await;
    assert!(lag.p99 <= bound(&bare), "p99 {:.1} ms, bare {:.1} ms", lag.p99, bare.p99);
}

#[tokio::test]
async fn the_lag_is_a_metric() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let seen = recorder.handle();
    // For this thread, on which all of the test runs.
    let _guard = metrics::set_default_local_recorder(&recorder);
    let widgets = Widgets::new().await;
    let relay = widgets.relay(&[widgets.taker("test.take")], quick());
    widgets.publish(1).await;
    until("it is delivered", async || widgets.published().await == 1).await;
    relay.stop().await;
    let (text, lag) = (seen.render(), "eshopz_events_lag_seconds");
    let labels = "{module=\"widget\",listener=\"test.take\"}";
    assert!(text.contains(&format!("{lag}_count{labels} 1")), "{text}");
    let sum = text.lines().find_map(|line| line.strip_prefix(&format!("{lag}_sum{labels} "))).unwrap();
    assert!((0.0..30.0).contains(&sum.parse::<f64>().unwrap()), "{sum}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_event_slows_nobody_down() {
    // Without poison first, then with one event of each kind, tried again and again during the whole load.
    let mut p99 = Vec::new();
    let mut bounds = Vec::new();
    for poisoned in [false, true] {
        let widgets = Widgets::new().await;
        let sick = |name, poison| Taker { poison, ..widgets.taker(name) };
        let takers = [
            widgets.taker("test.well"),
            sick("test.fails", Poison::Fails),
            sick("test.panics", Poison::Panics),
            sick("test.hangs", Poison::Hangs),
        ];
        let config = RelayConfig { poll_interval: Duration::from_secs(1), max_attempts: 1_000, ..quick() };
        let relay = widgets.relay(&takers, RelayConfig { drain: Duration::from_millis(1), ..config });
        if poisoned {
            widgets.publish(-1).await;
            until("it has failed", async || widgets.count("outbox_deliveries WHERE attempts > 1").await == 2).await;
        }
        bounds.push(bound(&widgets.load().await));
        for taker in &takers {
            widgets.until_effects(taker.name).await;
            p99.push(widgets.lags(taker.name).await.p99);
        }
        if poisoned {
            // An effect shows a moment before its delivery is noted.
            let sick = async || widgets.count("outbox_deliveries WHERE attempts > 0").await == 3;
            until("all others are noted", sick).await;
            let calls = |taker: &Taker| taker.calls.load(Ordering::SeqCst);
            println!("tried {} and {} times beside the others", calls(&takers[1]), calls(&takers[2]));
        }
        relay.stop().await;
    }
    let (without, with) = p99.split_at(4);
    println!("p99 in ms without poison {without:.1?}, with {with:.1?}");
    for (without, with) in without.iter().zip(with) {
        assert!(*with <= (without * 3.0).max(bounds[1]), "with {with:.1} ms, without {without:.1} ms");
    }
}
