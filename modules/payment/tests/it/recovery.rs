//! A gateway that does not answer, and processes that die.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;

use crate::shop::{Shop, amount};

#[tokio::test]
async fn a_gateway_that_never_answers_leaves_the_payment_payable() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    let unanswered = shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    assert_eq!((unanswered.status, unanswered.json()["status"].as_str()), (200, Some("processing")));
    let busy = shop.confirm(&intent, "k2", "pm_card_visa").await;
    assert_eq!((busy.status, busy.code().as_str()), (409, "payment_in_progress"));
    assert!(!busy.header("retry-after").is_empty());
    // Not at once: the gateway may still be at it.
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.status(&intent).await, "processing");
    shop.assert_balanced().await;

    shop.reconcile_later().await;
    let payment = shop.read(&intent).await;
    assert_eq!(payment["status"], "requires_payment_method");
    assert_eq!(payment["failure"]["code"], "gateway_timeout");
    let paid = shop.confirm(&intent, "k2", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")));
    assert_eq!(shop.ledger(&intent).await, ["charge failed 100", "charge succeeded 100"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn the_job_does_it_by_itself() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    shop.plant("UPDATE payments.transactions SET tried_at = tried_at - interval '1 hour'").await;
    let (stop, shutdown) = watch::channel(false);
    let running: Vec<_> = shop
        .module
        .jobs()
        .into_iter()
        .map(|job| tokio::spawn(job.run(shop.db.db("payments"), shutdown.clone())))
        .collect();
    let began = Instant::now();
    while shop.status(&intent).await != "requires_payment_method" {
        assert!(began.elapsed() < Duration::from_secs(20), "the job never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    for job in running {
        job.await.unwrap();
    }
}

#[tokio::test]
async fn an_abandoned_attempt_does_not_stand_in_the_way() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    shop.plant("UPDATE payments.payments SET processing_since = processing_since - interval '1 hour'").await;
    let paid = shop.confirm(&intent, "k2", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn since_when_an_attempt_is_on_its_way_is_a_time_of_the_databases() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    // Of one transaction, so the same to the microsecond: the process's clock has no part in it.
    let same = format!(
        "payments p JOIN payments.transactions t ON t.id = p.attempt_id AND t.created_at = p.processing_since \
         WHERE p.id = '{}'",
        intent.id
    );
    assert_eq!(shop.count(&same).await, 1);
}

#[tokio::test]
async fn a_charge_whose_answer_was_lost_is_found() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let lost = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((lost.status, lost.json()["status"].as_str()), (200, Some("processing")));
    shop.reconcile_later().await;
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "captured_amount")), (Some("succeeded"), 100));
    assert_eq!(payment["method"]["last4"], "4242");
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_asked_is_asked_later() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k1", "pm_sandbox_timeout").await;
    shop.gateway.unreachable.store(1, Ordering::SeqCst);
    shop.reconcile_later().await;
    assert_eq!(shop.status(&intent).await, "processing");
    shop.reconcile_later().await;
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
}

#[tokio::test]
async fn a_request_whose_process_died_is_resumed_by_its_key() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    shop.confirm(&intent, "k1", "pm_card_visa").await;
    // What a process leaves behind that dies while it waits for the gateway.
    shop.plant(
        "UPDATE payments.idempotency_keys SET status = NULL, body = NULL, created_at = created_at - interval '1 minute'",
    )
    .await;
    let resumed = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((resumed.status, resumed.json()["status"].as_str()), (200, Some("succeeded")), "{}", resumed.text);
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 100"]);
    assert_eq!(shop.count("sandbox_charges").await, 1);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_late_charge_beside_another_one_goes_back() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    shop.confirm(&intent, "k1", "pm_card_visa").await;
    // The gateway cannot find it yet, so the payer is asked to pay again, and does.
    shop.plant("UPDATE payments.sandbox_charges SET idempotency_key = gen_random_uuid()").await;
    shop.reconcile_later().await;
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
    let paid = shop.confirm(&intent, "k2", "pm_card_mastercard").await;
    assert_eq!((paid.status, paid.json()["method"]["brand"].as_str()), (200, Some("mastercard")));
    let owner = shop.db.owner().await;
    let late = "SELECT reference FROM payments.sandbox_charges WHERE payment_method = 'pm_card_visa'";
    let reference: String = owner.query_one(late, &[]).await.unwrap().get(0);
    for id in ["evt_1", "evt_2"] {
        let object = json!({"id": reference, "amount": 100, "amount_received": 100});
        let told = shop.webhook(&crate::shop::event(id, "payment_intent.succeeded", &intent, object)).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let payment = shop.read(&intent).await;
    assert_eq!((amount(&payment, "captured_amount"), payment["method"]["brand"].as_str()), (100, Some("mastercard")));
    assert!(shop.ledger(&intent).await.contains(&"charge surplus 100".to_owned()));
    shop.reconcile_later().await;
    shop.reconcile_later().await;
    let ledger = shop.get(&format!("/{}/transactions", intent.id)).await.json();
    let rows = ledger["items"].as_array().unwrap();
    let of = |kind: &str, status: &str| rows.iter().find(|row| row["kind"] == kind && row["status"] == status).unwrap();
    assert_eq!(amount(of("charge", "returned"), "amount"), 100);
    assert!(of("return", "succeeded")["gateway_reference"].as_str().unwrap().starts_with("sbx_re_"));
    assert_eq!(shop.count("sandbox_charges WHERE refunded_minor = captured_minor").await, 1);
    shop.assert_balanced().await;
}
