//! Giving money back, and never too much of it.

use std::sync::atomic::Ordering;

use serde_json::json;

use crate::shop::{Shop, amount, usd};

#[tokio::test]
async fn in_parts_and_then_the_rest() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    let body = json!({"amount": usd(30), "reason": "one was broken"});
    let part = shop.command(&intent, "refunds", "r1", Some(body)).await;
    assert_eq!(part.status, 201, "{}", part.text);
    let refund = part.json();
    assert_eq!((refund["status"].as_str(), amount(&refund, "amount")), (Some("succeeded"), 30));
    assert_eq!(
        (refund["reason"].as_str(), refund["payment_id"].as_str()),
        (Some("one was broken"), Some(intent.id.to_string().as_str()))
    );
    assert!(refund["gateway_reference"].as_str().unwrap().starts_with("sbx_re_"));
    let replayed =
        shop.command(&intent, "refunds", "r1", Some(json!({"amount": usd(30), "reason": "one was broken"}))).await;
    assert_eq!((replayed.status, replayed.json()["id"].clone()), (201, refund["id"].clone()));
    assert_eq!(shop.refund(&intent, "r1", 31).await.code(), "idempotency_key_reused");

    let rest = shop.command(&intent, "refunds", "r2", None).await;
    assert_eq!((rest.status, amount(&rest.json(), "amount")), (201, 70));
    let none = shop.command(&intent, "refunds", "r3", None).await;
    assert_eq!((none.status, none.code().as_str()), (409, "refund_exceeds_captured"));
    assert_eq!(none.json()["refundable"], json!(usd(0)));
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "refunded_amount")), (Some("succeeded"), 100));
    let listed = shop.get(&format!("/{}/refunds", intent.id)).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(listed["items"][0], refund);
    assert_eq!(shop.events().await.iter().filter(|name| *name == "payment.refunded.v1").count(), 2);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn two_of_sixty_from_a_hundred_are_one() {
    let shop = Shop::open().await;
    for round in 0..5 {
        let intent = shop.paid(100).await;
        let (first, second) = (format!("{round}a"), format!("{round}b"));
        let (one, two) = tokio::join!(shop.refund(&intent, &first, 60), shop.refund(&intent, &second, 60));
        let (won, lost) = if one.status == 201 { (one, two) } else { (two, one) };
        assert_eq!((won.status, lost.status, lost.code().as_str()), (201, 409, "refund_exceeds_captured"));
        assert_eq!(lost.json()["refundable"], json!(usd(40)));
        assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 60);
    }
    shop.assert_balanced().await;
}

#[tokio::test]
async fn twenty_of_ten_from_a_hundred_are_ten() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    let keys: Vec<String> = (0..20).map(|number| format!("r{number}")).collect();
    let answers = futures::future::join_all(keys.iter().map(|key| shop.refund(&intent, key, 10))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
    shop.reconcile_later().await;
    assert_eq!(shop.count("sandbox_charges WHERE refunded_minor = 100").await, 1);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn amounts_and_reasons_are_checked() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    for bad in [
        json!({"amount": usd(0)}),
        json!({"amount": usd(-5)}),
        json!({"amount": {"amount": 5, "currency": "EUR"}}),
        json!({"amount": {"amount": 5, "currency": "usd"}}),
        json!({"amount": 5}),
        json!({"amount": {"amount": 5.5, "currency": "USD"}}),
        json!({"reason": "nul \u{0}"}),
        json!({"reason": "x".repeat(501)}),
        json!({"ammount": usd(5)}),
    ] {
        let refused = shop.command(&intent, "refunds", "r", Some(bad.clone())).await;
        assert_eq!(refused.status, 422, "{bad} {}", refused.text);
    }
    for huge in [101, i64::MAX] {
        assert_eq!(shop.refund(&intent, "r", huge).await.code(), "refund_exceeds_captured");
    }
    let unpaid = shop.intent(100).await;
    assert_eq!(shop.refund(&unpaid, "r", 1).await.code(), "refund_exceeds_captured");
    assert_eq!(shop.count("transactions WHERE kind = 'refund'").await, 0);
}

#[tokio::test]
async fn a_refused_refund_gives_its_amount_back() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_card_refundFail").await;
    let failed = shop.refund(&intent, "r1", 60).await;
    assert_eq!((failed.status, failed.json()["status"].as_str()), (201, Some("failed")), "{}", failed.text);
    assert_eq!(failed.json()["failure"]["code"], "refund_failed");
    assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_asked_for_again_and_made_once() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let pending = shop.refund(&intent, "r1", 60).await;
    assert_eq!((pending.status, pending.json()["status"].as_str()), (201, Some("pending")));
    assert_eq!(shop.refund(&intent, "r2", 60).await.code(), "refund_exceeds_captured");
    shop.assert_balanced().await;
    shop.reconcile_later().await;
    let listed = shop.get(&format!("/{}/refunds", intent.id)).await.json();
    assert_eq!(listed["items"][0]["status"], "succeeded");
    assert_eq!(shop.count("sandbox_operations").await, 1);
    assert_eq!(shop.count("sandbox_charges WHERE refunded_minor = 60").await, 1);
    shop.assert_balanced().await;
}
