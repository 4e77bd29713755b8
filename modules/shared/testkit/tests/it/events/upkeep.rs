//! What is looked after: the audit, the sweep, and the periodic jobs that do both.

use std::collections::HashSet;

use eshopz_platform::events::sweep;
use eshopz_platform::jobs::Periodic;
use uuid::Uuid;

use super::*;

#[tokio::test]
async fn the_audit_finds_what_is_stuck_or_missing() {
    let widgets = Widgets::new().await;
    for number in 0..3 {
        widgets.publish(number).await;
    }
    assert!(widgets.broken().await.is_empty());
    assert_eq!(widgets.lag().await.pending, 3);
    widgets
        .execute(
            "UPDATE outbox SET occurred_at = now() - interval '1 hour' WHERE payload->>'number' = '0'; \
             UPDATE outbox SET remaining = 1 WHERE payload->>'number' > '0'; \
             INSERT INTO outbox_deliveries (event_id, listener, available_at) \
             SELECT id, 'test.gone', now() - interval '1 hour' FROM outbox WHERE payload->>'number' = '1'",
        )
        .await;
    let broken: HashSet<_> = widgets.broken().await.into_iter().collect();
    assert_eq!(broken, HashSet::from(["outbox_taken_up", "outbox_deliveries", "outbox_delivered"]));
    assert!(widgets.lag().await.oldest_seconds > 3_000.0);
}

#[tokio::test]
async fn a_sweep_removes_what_has_expired_and_nothing_else() {
    let widgets = Widgets::new().await;
    widgets
        .execute(
            "INSERT INTO outbox (id, name, payload, remaining, published_at) \
             SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'x.v1', '{}', 0, \
                    now() - interval '8 days' FROM generate_series(1, 2500) n; \
             INSERT INTO outbox (id, name, payload) VALUES ('00000000-0000-7000-9000-000000000000', 'x.v1', '{}'); \
             INSERT INTO inbox (listener, event_id, received_at) \
             SELECT 'test.take', id, now() - interval '31 days' FROM outbox; \
             INSERT INTO inbox (listener, event_id) VALUES ('test.late', '00000000-0000-7000-8000-000000000000'); \
             INSERT INTO idempotency_keys (caller, key, operation, request_hash, status, created_at) VALUES \
             ('a', 'old', 'x', '', 200, now() - interval '25 hours'), ('a', 'new', 'x', '', 200, now()), \
             ('a', 'open', 'x', '', NULL, now() - interval '29 days'), \
             ('a', 'given up', 'x', '', NULL, now() - interval '31 days')",
        )
        .await;
    widgets.publish(1).await;
    let mut conn = widgets.db.conn().await.unwrap();
    let swept = sweep::expired(&mut conn, &sweep::Retention::default()).await.unwrap();
    assert_eq!(swept, sweep::Swept { outbox: 2_500, inbox: 2_501, idempotency_keys: 2 });
    assert_eq!(widgets.count("outbox").await, 2);
    assert_eq!(widgets.count("inbox").await, 1);
    // Without an answer the work may be open still.
    assert_eq!(widgets.count("idempotency_keys WHERE key IN ('new', 'open')").await, 2);
}

#[tokio::test]
async fn of_two_runners_one_runs_and_a_dead_one_is_replaced() {
    let widgets = Widgets::new().await;
    let (runs, at_once, most) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let job = |every: Duration, hang: bool| {
        let (runs, at_once, most) = (Arc::clone(&runs), Arc::clone(&at_once), Arc::clone(&most));
        Periodic::new("test.job", every, move || {
            let (runs, at_once, most) = (Arc::clone(&runs), Arc::clone(&at_once), Arc::clone(&most));
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(if hang { Duration::from_secs(600) } else { Duration::from_millis(20) }).await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                Err(Fault::internal("a failed run is a run"))
            }
        })
        .lease(Duration::from_secs(1))
    };
    let (stop, shutdown) = watch::channel(false);
    let doomed = tokio::spawn(job(Duration::from_millis(200), true).run(widgets.db.clone(), shutdown.clone()));
    until("the first runs", async || runs.load(Ordering::SeqCst) == 1).await;
    let second = tokio::spawn(job(Duration::from_millis(200), false).run(widgets.db.clone(), shutdown.clone()));
    let third = tokio::spawn(job(Duration::from_millis(200), false).run(widgets.db.clone(), shutdown));
    let later = chrono::Utc::now() + Duration::from_secs(2);
    until("its lease is renewed", async || widgets.count(&format!("leases WHERE until > '{later}'")).await == 1).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    doomed.abort();
    let _ = doomed.await;
    at_once.store(0, Ordering::SeqCst);
    until("another takes over", async || runs.load(Ordering::SeqCst) == 2).await;
    let began = Instant::now();
    until("it goes on", async || runs.load(Ordering::SeqCst) >= 7).await;
    assert!(began.elapsed() > Duration::from_millis(700), "two runners are not twice as often");
    stop.send(true).unwrap();
    second.await.unwrap();
    third.await.unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 1);
    assert_eq!(widgets.count(&format!("leases WHERE name = 'test.job' AND holder <> '{}'", Uuid::nil())).await, 1);
}
