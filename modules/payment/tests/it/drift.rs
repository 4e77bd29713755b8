//! The gateway's list beside ours.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{TimeDelta, Utc};
use eshopz_payment::CaptureMode;

use crate::shop::Shop;

/// `check detail` of every difference since yesterday.
async fn differences(shop: &Shop) -> Vec<String> {
    let report = shop.module.compare_with_gateway(Utc::now() - TimeDelta::days(1), |_| {}).await.unwrap();
    report.findings.iter().map(|finding| format!("{} {}", finding.check, finding.detail)).collect()
}

#[tokio::test]
async fn what_is_the_same_on_both_sides_is_no_difference() {
    for capture in [CaptureMode::Automatic, CaptureMode::Manual] {
        let shop = Shop::open_with(capture).await;
        for (number, method) in ["pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"]
            .into_iter()
            .cycle()
            .take(250)
            .enumerate()
        {
            let intent = shop.intent(100).await;
            shop.confirm(&intent, "k", method).await;
            match number % 5 {
                0 => _ = shop.command(&intent, "capture", "c", None).await,
                1 => _ = shop.api.undo(intent.order, "cancelled").await.unwrap(),
                2 => _ = shop.refund(&intent, "r", 30).await,
                3 => _ = shop.confirm(&intent, "k2", "pm_card_visa").await,
                _ => {}
            }
        }
        let compared = AtomicU64::new(0);
        let since = Utc::now() - TimeDelta::days(1);
        let report =
            shop.module.compare_with_gateway(since, |count| compared.store(count, Ordering::SeqCst)).await.unwrap();
        assert_eq!(report.findings, []);
        let there = shop.count("sandbox_charges").await;
        assert_eq!(i64::try_from(compared.load(Ordering::SeqCst)).unwrap(), there, "all of several pieces");
        assert_eq!(report.checked[0].2, there);
        assert!(report.checked[1].2 >= 250);
    }
}

#[tokio::test]
async fn what_is_on_its_way_is_no_difference() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(2, Ordering::SeqCst);
    shop.confirm(&intent, "k", "pm_card_visa").await;
    let paid = shop.paid(100).await;
    shop.refund(&paid, "r", 30).await;
    assert_eq!(differences(&shop).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_found_under_our_key_is_known_whatever_its_name() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_card_chargeDeclined").await;
    shop.plant("UPDATE payments.transactions SET gateway_reference = 'ch_1'").await;
    assert_eq!(differences(&shop).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_kind_of_difference_is_found() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    shop.paid(70).await;
    for (plant, mend, found) in [
        (
            "UPDATE payments.sandbox_charges SET idempotency_key = gen_random_uuid(), reference = 'sbx_ch_x', \
                payment_id = gen_random_uuid() WHERE amount_minor = 70",
            "",
            &["gateway_charges we do not know it", "own_charges payment"][..],
        ),
        ("DELETE FROM payments.sandbox_charges WHERE amount_minor = 70", "", &["own_charges payment"]),
        (
            "UPDATE payments.sandbox_charges SET refunded_minor = 5 WHERE amount_minor = 100",
            "UPDATE payments.sandbox_charges SET refunded_minor = 0",
            &["gateway_charges payment", "own_charges payment"],
        ),
        (
            "UPDATE payments.sandbox_charges SET captured_minor = 90 WHERE amount_minor = 100",
            "UPDATE payments.sandbox_charges SET captured_minor = 100",
            &["gateway_charges payment", "own_charges payment"],
        ),
        (
            "UPDATE payments.sandbox_charges SET status = 'cancelled' WHERE amount_minor = 100",
            "UPDATE payments.sandbox_charges SET status = 'succeeded'",
            &["gateway_charges payment", "own_charges payment"],
        ),
    ] {
        shop.plant(plant).await;
        let told = differences(&shop).await;
        assert_eq!(told.len(), found.len(), "{plant}: {told:?}");
        assert!(told.iter().zip(found).all(|(told, found)| told.starts_with(found)), "{plant}: {told:?}");
        shop.plant(mend).await;
    }
    assert_eq!(shop.status(&intent).await, "succeeded");
}

#[tokio::test]
async fn a_gateway_that_is_silent_for_a_moment_is_asked_again() {
    let shop = Shop::open().await;
    shop.paid(100).await;
    shop.gateway.unreachable.store(2, Ordering::SeqCst);
    assert_eq!(differences(&shop).await, Vec::<String>::new());
    shop.gateway.unreachable.store(1_000, Ordering::SeqCst);
    let failed = shop.module.compare_with_gateway(Utc::now() - TimeDelta::days(1), |_| {}).await;
    assert!(failed.unwrap_err().is_retryable());
}
