//! Reconciling by hand: everything that is open, at once, and a word about what stays so.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;

use crate::shop::Shop;

/// What stays open.
async fn left(shop: &Shop) -> Vec<String> {
    let report = shop.module.reconcile_all().await.unwrap();
    report.findings.iter().map(|finding| format!("{} {}", finding.check, finding.detail)).collect()
}

#[tokio::test]
async fn what_somebody_may_still_wait_for_is_waited_out() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    assert_eq!(left(&shop).await, Vec::<String>::new());
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_due_in_an_hour_is_not_waited_for() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    shop.confirm(&intent, "k1", "pm_card_visa").await;
    shop.plant(
        "UPDATE payments.transactions SET tries = 12, tried_at = now() - interval '1 minute', \
            due_at = now() + interval '1 hour'",
    )
    .await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.status(&intent).await, "processing", "the job comes when it is due");
    assert_eq!(left(&shop).await, Vec::<String>::new());
    assert_eq!(shop.status(&intent).await, "succeeded");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_stays_open_is_told() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    let undone = shop.paid(70).await;
    shop.gateway.unreachable.store(1_000, Ordering::SeqCst);
    shop.api.undo(undone.order, "cancelled").await.unwrap();
    let told = left(&shop).await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("open charge of payment {} is pending since", intent.id)), "{told:?}");
    assert!(told[1].starts_with(&format!("open refund of payment {} is pending since", undone.id)), "{told:?}");
    shop.gateway.unreachable.store(0, Ordering::SeqCst);
    assert_eq!(left(&shop).await, Vec::<String>::new());
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_hold_of_which_nothing_was_heard_is_asked_about() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    shop.plant("UPDATE payments.sandbox_charges SET status = 'cancelled'").await;
    assert_eq!(left(&shop).await, Vec::<String>::new());
    assert_eq!(shop.status(&intent).await, "cancelled");
    shop.assert_balanced().await;
}
