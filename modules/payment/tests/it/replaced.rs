//! A payer who gives up what waits for his bank and pays with another card, while the first can still be paid.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use serde_json::json;

use crate::shop::{Intent, Shop, amount, event};

const VOIDS: &str = "sandbox_operations WHERE kind = 'void'";
const OPEN: &str = "transactions WHERE status IN ('pending', 'requires_action', 'surplus')";

async fn waiting(shop: &Shop) -> Intent {
    let intent = shop.intent(100).await;
    let waits = shop.confirm(&intent, "first", "pm_card_authenticationRequired").await;
    assert_eq!(waits.json()["status"], "requires_action", "{}", waits.text);
    intent
}

/// The payer finishes with his bank, and the webhook is on its way.
async fn pay_the_first(shop: &Shop, intent: &Intent) {
    shop.plant(&format!(
        "UPDATE payments.sandbox_charges SET status = 'succeeded', captured_minor = amount_minor WHERE payment_id = '{}'",
        intent.id
    ))
    .await;
}

#[tokio::test]
async fn the_first_is_let_go_before_the_second_is_made() {
    let shop = Shop::open().await;
    let intent = waiting(&shop).await;
    let paid = shop.confirm(&intent, "second", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
    assert_eq!(shop.count(VOIDS).await, 1);
    assert_eq!(shop.ledger(&intent).await, ["charge cancelled 100", "charge succeeded 100"]);
    // What the gateway tells of that is no news.
    let first = "SELECT reference FROM payments.sandbox_charges WHERE status = 'cancelled'";
    let reference = shop.row(first).await["reference"].clone();
    let told = shop.webhook(&event("evt_1", "payment_intent.canceled", &intent, json!({"id": reference}))).await;
    assert_eq!((told.status, shop.status(&intent).await.as_str()), (200, "succeeded"));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn the_first_that_was_paid_meanwhile_is_what_the_payment_rests_on() {
    let shop = Shop::open().await;
    let intent = waiting(&shop).await;
    pay_the_first(&shop, &intent).await;
    for _ in 0..2 {
        let paid = shop.confirm(&intent, "second", "pm_card_visa").await;
        assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
        assert_eq!(paid.json()["method"]["last4"], "3184");
    }
    assert_eq!(shop.count("sandbox_charges").await, 1, "nothing else is charged");
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100", "charge cancelled 100"]);
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn nothing_is_charged_while_it_is_not_known_whether_the_first_is_let_go() {
    let shop = Shop::open().await;
    for (paid_meanwhile, lost) in [(false, &shop.gateway.lost_answers), (true, &shop.gateway.unreachable)] {
        let intent = waiting(&shop).await;
        if paid_meanwhile {
            pay_the_first(&shop, &intent).await;
        }
        lost.store(1, Ordering::SeqCst);
        let charges = shop.count("sandbox_charges").await;
        let refused = shop.confirm(&intent, "second", "pm_card_visa").await;
        assert_eq!(refused.status, 503, "{}", refused.text);
        assert_eq!((shop.count("sandbox_charges").await, shop.count(OPEN).await), (charges, 1));
        assert_eq!(shop.status(&intent).await, "requires_payment_method");
        shop.assert_balanced().await;
        let paid = shop.confirm(&intent, "second", "pm_card_visa").await;
        assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
        assert_eq!(amount(&paid.json(), "captured_amount"), 100);
        assert_eq!(shop.count(OPEN).await, 0);
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn the_job_lets_go_for_a_process_that_died() {
    let shop = Shop::open().await;
    for paid_meanwhile in [false, true] {
        let intent = waiting(&shop).await;
        shop.gateway.unreachable.store(1, Ordering::SeqCst);
        assert_eq!(shop.confirm(&intent, "second", "pm_card_visa").await.status, 503);
        if paid_meanwhile {
            pay_the_first(&shop, &intent).await;
        }
        shop.reconcile_later().await;
        let (status, first) = if paid_meanwhile {
            ("succeeded", "charge succeeded 100")
        } else {
            ("requires_payment_method", "charge cancelled 100")
        };
        assert_eq!((shop.status(&intent).await.as_str(), shop.ledger(&intent).await[0].as_str()), (status, first));
        assert_eq!(shop.count(OPEN).await, 0);
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn a_hold_that_is_told_while_it_is_let_go_does_not_count() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = waiting(&shop).await;
    shop.gateway.unreachable.store(1, Ordering::SeqCst);
    assert_eq!(shop.confirm(&intent, "second", "pm_card_visa").await.status, 503);
    let reference = shop.row("SELECT reference FROM payments.sandbox_charges").await["reference"].clone();
    let held = event("evt_1", "payment_intent.amount_capturable_updated", &intent, json!({"id": reference}));
    assert_eq!(shop.webhook(&held).await.status, 200);
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
    let held = shop.confirm(&intent, "second", "pm_card_visa").await;
    assert_eq!(held.json()["status"], "authorized", "{}", held.text);
    assert_eq!(shop.count("sandbox_charges WHERE status = 'authorized'").await, 1);
    assert_eq!(shop.ledger(&intent).await[0], "authorization cancelled 100");
    shop.assert_balanced().await;
}
