//! The module's checks of its own books, and the sweep of what has expired.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::shop::{Shop, access, until};

#[tokio::test]
async fn planted_errors_are_found() {
    let shop = Shop::open().await;
    let token = shop.customer("ann@example.com").await;
    for _ in 0..2 {
        let address = json!({"name": "Ann", "line1": "1 Harbour Street", "city": "Portland", "postal_code": "97201",
            "country": "US", "is_default": false});
        shop.call("POST", "/users/me/addresses", &token, address).await;
    }
    let gone = shop.customer("gone@example.com").await;
    shop.call("DELETE", "/users/me", &gone, Value::Null).await;
    let report = shop.module.verify().await.unwrap();
    assert_eq!(report.findings, []);
    assert!(report.checked.iter().all(|(module, ..)| *module == "user"));

    for (check, statement) in [
        ("session_has_one_good_token", "UPDATE users.refresh_tokens SET spent_at = now()"),
        ("one_default_address", "UPDATE users.addresses SET is_default = false"),
        ("deleted_account_is_empty", "UPDATE users.sessions SET address = '192.0.2.7' WHERE revoked_at IS NOT NULL"),
        ("account_can_sign_in", "UPDATE users.users SET password_hash = 'secret' WHERE deleted_at IS NULL"),
        (
            "outbox_taken_up",
            "UPDATE users.outbox SET occurred_at = now() - interval '1 hour' WHERE name = 'user.deleted.v1'",
        ),
    ] {
        let before = shop.module.verify().await.unwrap().findings.len();
        shop.sql(statement).await;
        let findings = shop.module.verify().await.unwrap().findings;
        assert_eq!(findings.len(), before + 1, "{check}: {findings:?}");
        assert!(findings.iter().any(|finding| finding.check == check), "{check}: {findings:?}");
    }
}

#[tokio::test]
async fn what_has_expired_is_swept() {
    let shop = Shop::open().await;
    let ended = shop.customer("ann@example.com").await;
    let expired = shop.sign_in("ann@example.com").await;
    let kept = access(&shop.sign_in("ann@example.com").await);
    shop.call("POST", "/auth/logout", &ended, Value::Null).await;
    shop.refresh(&expired["refresh_token"]).await;
    shop.sql(
        "UPDATE users.sessions SET revoked_at = now() - interval '2 days' WHERE revoked_at IS NOT NULL; \
         UPDATE users.mailed_tokens SET expires_at = now(); \
         UPDATE users.refresh_tokens SET expires_at = now() WHERE session_id = \
             (SELECT session_id FROM users.refresh_tokens WHERE spent_at IS NOT NULL); \
         UPDATE users.sessions SET expires_at = now() WHERE id = \
             (SELECT session_id FROM users.refresh_tokens WHERE spent_at IS NOT NULL)",
    )
    .await;
    let (stop, stopped) = watch::channel(false);
    let db = shop.base.db("users");
    let jobs: Vec<_> =
        shop.module.jobs().into_iter().map(|job| tokio::spawn(job.run(db.clone(), stopped.clone()))).collect();
    let count = "SELECT (SELECT count(*) FROM users.sessions) + (SELECT count(*) FROM users.refresh_tokens) \
                 + (SELECT count(*) FROM users.mailed_tokens)";
    let mut left = shop.number(count).await;
    let began = Instant::now();
    while left > 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "{left} rows left");
        tokio::time::sleep(Duration::from_millis(20)).await;
        left = shop.number(count).await;
    }
    assert_eq!(left, 2, "the session that is kept, and its token");
    assert!(shop.is_signed_in(&kept).await);
    stop.send(true).unwrap();
    until("the jobs have stopped", || jobs.iter().all(tokio::task::JoinHandle::is_finished)).await;
}
