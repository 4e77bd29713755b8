//! What the gateway told, and nobody heard.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use serde_json::json;

use crate::shop::{Intent, Shop, amount};

const WAITS: &str = "pm_card_authenticationRequired";

/// Something happens at the sandbox, its webhook is lost, and some minutes later the job comes.
async fn unheard(shop: &Shop, change: &str) {
    shop.plant(&format!("UPDATE payments.sandbox_charges SET {change}")).await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.count("payments WHERE ask_tries > 0").await, 0, "not at once: the webhook may be on its way");
    shop.plant("UPDATE payments.payments SET updated_at = updated_at - interval '5 minutes'").await;
    shop.module.reconcile().await.unwrap();
}

async fn captured(shop: &Shop, intent: &Intent) -> (String, i64, i64) {
    let payment = shop.read(intent).await;
    let status = payment["status"].as_str().unwrap().to_owned();
    (status, amount(&payment, "captured_amount"), amount(&payment, "refunded_amount"))
}

#[tokio::test]
async fn a_payer_who_has_paid_is_found() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", WAITS).await;
    unheard(&shop, "status = 'succeeded', captured_minor = 100").await;
    assert_eq!(captured(&shop, &intent).await, ("succeeded".to_owned(), 100, 0));
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_payer_who_has_failed_or_is_still_at_it_is_found_too() {
    for (change, status) in [("status = 'declined'", "requires_payment_method"), ("captures = true", "requires_action")]
    {
        let shop = Shop::open().await;
        let intent = shop.intent(100).await;
        shop.confirm(&intent, "k", WAITS).await;
        unheard(&shop, change).await;
        assert_eq!(shop.status(&intent).await, status);
        let again = shop.row("SELECT ask_tries, ask_due_at > now() AS later FROM payments.payments").await;
        assert_eq!(again, json!({"ask_tries": 1, "later": true}));
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn a_hold_that_was_collected_or_let_go_at_the_gateway_is_none() {
    for (change, outcome, row) in [
        ("status = 'succeeded', captured_minor = 60", ("succeeded", 60), "capture succeeded 60"),
        ("status = 'cancelled'", ("cancelled", 0), "void succeeded 100"),
    ] {
        let shop = Shop::open_with(CaptureMode::Manual).await;
        let intent = shop.held(100).await;
        unheard(&shop, change).await;
        assert_eq!(captured(&shop, &intent).await, (outcome.0.to_owned(), outcome.1, 0));
        assert_eq!(shop.ledger(&intent).await, ["authorization succeeded 100", row]);
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn a_capture_that_is_refused_finds_out_why() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    shop.plant("UPDATE payments.sandbox_charges SET status = 'cancelled'").await;
    let refused = shop.command(&intent, "capture", "c", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "gateway_refused"), "{}", refused.text);
    assert_eq!(shop.status(&intent).await, "cancelled");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_void_that_is_refused_gives_back_what_was_collected_and_no_more() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    shop.plant("UPDATE payments.sandbox_charges SET status = 'succeeded', captured_minor = 600").await;
    shop.api.undo(intent.order, "cancelled").await.unwrap();
    shop.reconcile_later().await;
    assert_eq!(captured(&shop, &intent).await, ("succeeded".to_owned(), 600, 600));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_was_told_before_the_answer_counts_with_it() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    shop.confirm(&intent, "k", "pm_card_visa").await;
    let charge = shop.row("SELECT reference FROM payments.sandbox_charges").await["reference"].clone();
    // Of which payment it is it does not say, and the charge is not known yet.
    let object = json!({"id": charge, "amount": 100, "amount_captured": 100, "amount_refunded": 40});
    let told = json!({"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {"object": object}});
    assert_eq!(shop.webhook(&told).await.status, 200);
    shop.plant(
        "UPDATE payments.webhook_events SET due_at = now() + interval '1 hour'; \
         UPDATE payments.transactions SET tried_at = tried_at - interval '1 hour'",
    )
    .await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(captured(&shop, &intent).await, ("succeeded".to_owned(), 100, 40));
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_refund_that_failed_before_its_answer_came_has_failed() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    assert_eq!(shop.refund(&intent, "r", 40).await.json()["status"], "pending");
    let made = shop.row("SELECT reference, charge_reference FROM payments.sandbox_operations").await;
    let object = json!({"id": made["reference"], "payment_intent": made["charge_reference"], "status": "failed",
        "amount": 40, "metadata": {"payment_id": intent.id}});
    let told = json!({"id": "evt_1", "type": "refund.failed", "created": 1, "data": {"object": object}});
    assert_eq!(shop.webhook(&told).await.status, 200);
    shop.plant(
        "UPDATE payments.webhook_events SET due_at = now() + interval '1 hour'; \
         UPDATE payments.transactions SET tried_at = tried_at - interval '1 hour'",
    )
    .await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100", "refund failed 40"]);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 0);
}
