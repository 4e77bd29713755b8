//! Paying: what is collected, declined, waited for, and that it happens once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use eshopz_payment::{PaymentDeps, PaymentModule, PaymentSettings, SandboxGateway};
use eshopz_testkit::TestApp;
use serde_json::json;

use crate::shop::{ORDER_TOKEN, Shop, amount, usd};

#[tokio::test]
async fn a_card_pays() {
    let shop = Shop::open().await;
    let intent = shop.intent(1_999).await;
    let paid = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!(paid.status, 200, "{}", paid.text);
    let payment = paid.json();
    assert_eq!(payment["status"], "succeeded");
    assert_eq!(payment["amount"], json!(usd(1_999)));
    assert_eq!(payment["captured_amount"], json!(usd(1_999)));
    assert_eq!(payment["refunded_amount"], json!(usd(0)));
    assert_eq!(payment["method"], json!({"type": "card", "brand": "visa", "last4": "4242"}));
    assert_eq!((&payment["failure"], &payment["next_action"]), (&json!(null), &json!(null)));
    assert_eq!(payment["gateway"], "sandbox");
    assert!(!paid.header("etag").is_empty());
    // The answer is what a later read shows, to the last digit.
    let read = shop.get(&format!("/{}", intent.id)).await;
    assert_eq!((read.json(), read.header("etag")), (payment, paid.header("etag")));

    let again = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((again.status, again.header("idempotency-replayed").as_str()), (200, "true"));
    let other_key = shop.confirm(&intent, "k2", "pm_card_mastercard").await;
    assert_eq!((other_key.status, other_key.json()["method"]["brand"].as_str()), (200, Some("visa")));
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 1999"]);
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_declined_card_and_then_a_good_one() {
    let shop = Shop::open().await;
    let intent = shop.intent(500).await;
    for (method, code) in [
        ("pm_card_chargeDeclined", "card_declined"),
        ("pm_card_visa_chargeDeclined", "card_declined"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error"),
        // Whoever holds it must not learn that the theft has been noticed.
        ("pm_card_chargeDeclinedStolenCard", "card_declined"),
    ] {
        let declined = shop.confirm(&intent, method, method).await;
        assert_eq!((declined.status, declined.code().as_str()), (402, code), "{}", declined.text);
        let payment = shop.read(&intent).await;
        assert_eq!(
            (payment["status"].as_str(), payment["failure"]["code"].as_str()),
            (Some("requires_payment_method"), Some(code))
        );
        let again = shop.confirm(&intent, method, method).await;
        assert_eq!((again.status, again.header("idempotency-replayed").as_str()), (402, "true"));
    }
    let paid = shop.confirm(&intent, "good", "pm_card_mastercard").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")));
    assert_eq!(paid.json()["failure"], json!(null));
    assert_eq!(shop.ledger(&intent).await.len(), 8);
    assert_eq!(shop.events().await.iter().filter(|name| *name == "payment.failed.v1").count(), 7);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_no_method_leaves_no_trace() {
    let shop = Shop::open().await;
    let intent = shop.intent(500).await;
    for name in ["pm_card_vsia", "4242424242424242", "pm_card_visa\0", "visa", ""] {
        let refused = shop.confirm(&intent, "k", name).await;
        assert_eq!(refused.status, 422, "{name:?} {}", refused.text);
        let errors = refused.json()["errors"].clone();
        assert_eq!(errors[0]["field"], "/payment_method", "{errors}");
        let code = if name.contains('\0') { "nul_character" } else { "unknown_payment_method" };
        if !name.is_empty() {
            assert_eq!(errors[0]["code"], code, "{errors}");
        }
    }
    let unknown = shop.api.confirm(intent.id, "pm_nonsense").await.unwrap_err();
    assert_eq!(unknown.errors[0].code, "unknown_payment_method");
    let (path, bearer) = (format!("/api/v1/payments/{}/confirm", intent.id), intent.bearer.as_str());
    let body = Some(json!({"payment_method": "pm_card_visa"}));
    let keyless = shop.app.send("POST", &path, &[("authorization", bearer)], body).await.unwrap();
    assert_eq!((keyless.status, keyless.code().as_str()), (428, "idempotency_key_required"));
    let headers = [("authorization", bearer), ("idempotency-key", "k")];
    let body = Some(json!({"payment_method": "pm_card_visa", "card_number": "4242424242424242"}));
    let extra = shop.app.send("POST", &path, &headers, body).await.unwrap();
    assert_eq!((extra.status, extra.json()["errors"][0]["code"].as_str()), (422, Some("unknown_field")));
    assert_eq!(shop.count("transactions").await + shop.count("idempotency_keys").await, 0);
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
}

#[tokio::test]
async fn what_only_the_gateway_knows_to_be_no_method_leaves_no_trace_either() {
    let shop = Shop::open().await;
    let intent = shop.intent(500).await;
    shop.gateway.unknown_methods.store(2, Ordering::SeqCst);
    let refused = shop.confirm(&intent, "k", "pm_card_visa").await;
    assert_eq!((refused.status, refused.json()["errors"][0]["field"].as_str()), (422, Some("/payment_method")));
    let refused = shop.api.confirm(intent.id, "pm_card_visa").await.unwrap_err();
    assert_eq!(refused.errors[0].code, "unknown_payment_method");
    assert_eq!(shop.count("transactions").await + shop.count("idempotency_keys").await + shop.count("outbox").await, 0);
    assert_eq!(shop.status(&intent).await, "requires_payment_method");
    assert_eq!(shop.confirm(&intent, "k", "pm_card_visa").await.json()["status"], "succeeded");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn fifty_twins_with_one_key_are_one_charge() {
    let shop = Shop::open().await;
    let intent = shop.intent(700).await;
    let answers = futures::future::join_all((0..50).map(|_| shop.confirm(&intent, "same", "pm_card_visa"))).await;
    for answer in &answers {
        let told = (answer.status, answer.code());
        assert!(answer.status == 200 || told == (409, "idempotency_in_progress".to_owned()), "{}", answer.text);
    }
    assert!(answers.iter().any(|answer| answer.status == 200));
    assert_eq!(shop.ledger(&intent).await, ["charge succeeded 700"]);
    assert_eq!(shop.count("sandbox_charges").await, 1);
    let reused = shop.confirm(&intent, "same", "pm_card_mastercard").await;
    assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency_key_reused"));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn twins_that_reach_different_processes_are_one_charge() {
    let shop = Shop::open().await;
    let pool = shop.db.db("payments");
    let gateway = Arc::new(SandboxGateway::new(pool.clone()));
    let other = PaymentModule::new(PaymentDeps { db: pool, gateway, settings: PaymentSettings::default() });
    let identity = Arc::clone(&shop.app.identity);
    let beside = TestApp::start_with(identity, move |cfg| other.configure(cfg)).await.unwrap();
    for round in 0..10 {
        let intent = shop.intent(700).await;
        let key = format!("twin-{round}");
        let headers = [("authorization", intent.bearer.as_str()), ("idempotency-key", key.as_str())];
        let path = format!("/api/v1/payments/{}/confirm", intent.id);
        let body = Some(json!({"payment_method": "pm_card_visa"}));
        let (one, two) =
            tokio::join!(shop.confirm(&intent, &key, "pm_card_visa"), beside.send("POST", &path, &headers, body));
        for answer in [&one, two.as_ref().unwrap()] {
            let told = (answer.status, answer.code());
            assert!(answer.status == 200 || told == (409, "idempotency_in_progress".to_owned()), "{}", answer.text);
        }
        assert_eq!(shop.ledger(&intent).await, ["charge succeeded 700"]);
    }
    shop.assert_balanced().await;
}

#[tokio::test]
async fn many_attempts_at_once_are_one_charge() {
    let shop = Shop::open().await;
    let intent = shop.intent(700).await;
    let keys: Vec<String> = (0..20).map(|number| format!("key-{number}")).collect();
    let answers = futures::future::join_all(keys.iter().map(|key| shop.confirm(&intent, key, "pm_card_visa"))).await;
    for answer in &answers {
        let told = (answer.status, answer.code());
        assert!(answer.status == 200 || told == (409, "payment_in_progress".to_owned()), "{}", answer.text);
    }
    assert_eq!(shop.count("sandbox_charges WHERE status = 'succeeded'").await, 1);
    assert_eq!(shop.events().await, ["payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_guest_pays_by_the_orders_token() {
    let shop = Shop::open().await;
    let id = shop.guest_intent(300).await;
    let path = format!("/api/v1/payments/{id}/confirm");
    let body = || Some(json!({"payment_method": "pm_card_visa"}));
    let stranger = [("x-order-token", "guess"), ("idempotency-key", "k")];
    assert_eq!(shop.app.send("POST", &path, &stranger, body()).await.unwrap().status, 404);
    let admin = [("authorization", shop.admin.as_str()), ("idempotency-key", "k")];
    assert_eq!(shop.app.send("POST", &path, &admin, body()).await.unwrap().status, 403);
    let guest = [("x-order-token", ORDER_TOKEN), ("idempotency-key", "k")];
    let paid = shop.app.send("POST", &path, &guest, body()).await.unwrap();
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")));
}

#[tokio::test]
async fn authentication_waits_for_the_payer() {
    let shop = Shop::open().await;
    let intent = shop.intent(900).await;
    let waits = shop.confirm(&intent, "k1", "pm_card_authenticationRequired").await;
    assert_eq!((waits.status, waits.json()["status"].as_str()), (200, Some("requires_action")));
    assert_eq!(waits.json()["next_action"]["type"], "sandbox_authenticate");
    assert_eq!(shop.ledger(&intent).await, ["charge requires_action 900"]);
    // Another method takes its place, and the first one can no longer be completed.
    let paid = shop.confirm(&intent, "k2", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")));
    assert_eq!(paid.json()["next_action"], json!(null));
    assert_eq!(shop.ledger(&intent).await, ["charge cancelled 900", "charge succeeded 900"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_unreachable_gateway_has_no_effect_and_frees_the_key() {
    let shop = Shop::open().await;
    let intent = shop.intent(900).await;
    shop.gateway.unreachable.store(1, Ordering::SeqCst);
    let down = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((down.status, down.code().as_str()), (503, "gateway_unavailable"));
    assert!(!down.header("retry-after").is_empty());
    let paid = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((paid.status, paid.json()["status"].as_str()), (200, Some("succeeded")), "{}", paid.text);
    assert_eq!(shop.ledger(&intent).await, ["charge failed 900", "charge succeeded 900"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_order_that_costs_nothing_can_be_paid() {
    let shop = Shop::open().await;
    let intent = shop.intent(0).await;
    let paid = shop.confirm(&intent, "k1", "pm_card_visa").await;
    assert_eq!((paid.status, amount(&paid.json(), "captured_amount")), (200, 0));
    assert_eq!(paid.json()["status"], "succeeded");
    let undone = shop.api.undo(intent.order, "cancelled").await.unwrap();
    assert_eq!(undone.refunded_amount.amount, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn trying_out_cards_ends() {
    let shop = Shop::open().await;
    let intent = shop.intent(900).await;
    for _ in 0..25 {
        let declined = shop.api.confirm(intent.id, "pm_card_chargeDeclined").await.unwrap_err();
        assert_eq!(declined.code, "card_declined");
    }
    assert_eq!(shop.status(&intent).await, "failed");
    let closed = shop.confirm(&intent, "k", "pm_card_visa").await;
    assert_eq!((closed.status, closed.code().as_str()), (409, "payment_not_confirmable"));
    assert_eq!((&closed.json()["status"], &closed.json()["payment_status"]), (&json!(409), &json!("failed")));
}
