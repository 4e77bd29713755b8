//! Holding first, collecting later.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use serde_json::json;

use crate::shop::{Shop, amount, event, usd};

#[tokio::test]
async fn what_is_held_is_collected_whole() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    assert_eq!(shop.events().await, ["payment.authorized.v1"]);
    shop.assert_balanced().await;
    let captured = shop.command(&intent, "capture", "c1", None).await;
    assert_eq!((captured.status, captured.json()["status"].as_str()), (200, Some("succeeded")), "{}", captured.text);
    assert_eq!(amount(&captured.json(), "captured_amount"), 1_000);
    let replayed = shop.command(&intent, "capture", "c1", None).await;
    assert_eq!((replayed.status, replayed.header("idempotency-replayed").as_str()), (200, "true"));
    let twice = shop.command(&intent, "capture", "c2", None).await;
    assert_eq!((twice.status, twice.code().as_str()), (409, "payment_not_capturable"));
    assert_eq!(shop.ledger(&intent).await, ["authorization succeeded 1000", "capture succeeded 1000"]);
    assert_eq!(shop.events().await, ["payment.authorized.v1", "payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_part_is_collected_and_the_rest_let_go() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    let capture = async |key: &str, money: serde_json::Value| {
        shop.command(&intent, "capture", key, Some(json!({"amount": money}))).await
    };
    let more = capture("c1", json!(usd(1_001))).await;
    assert_eq!((more.status, more.code().as_str()), (409, "capture_exceeds_authorized"));
    assert_eq!(more.json()["capturable"], json!(usd(1_000)));
    for bad in [json!({"amount": 5, "currency": "EUR"}), json!(usd(0)), json!(usd(-1)), json!(5)] {
        assert_eq!(capture("c2", bad.clone()).await.status, 422, "{bad}");
    }
    let part = capture("c3", json!(usd(400))).await;
    assert_eq!((part.status, amount(&part.json(), "captured_amount")), (200, 400), "{}", part.text);
    let refunded = shop.refund(&intent, "r1", 401).await;
    assert_eq!((refunded.status, refunded.code().as_str()), (409, "refund_exceeds_captured"));
    assert_eq!(shop.refund(&intent, "r2", 400).await.status, 201);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn only_one_of_many_captures_collects() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    let keys: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let answers = futures::future::join_all(keys.iter().map(|key| shop.command(&intent, "capture", key, None))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(answers.iter().all(|answer| answer.status == 200 || answer.code() == "payment_not_capturable"));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_capture_whose_answer_is_lost_is_found_again() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let lost = shop.command(&intent, "capture", "c1", None).await;
    assert_eq!((lost.status, lost.code().as_str()), (503, "gateway_unavailable"));
    assert_eq!(shop.ledger(&intent).await[1], "capture pending 1000");
    let other = shop.command(&intent, "capture", "c2", None).await;
    assert_eq!((other.status, other.code().as_str()), (409, "payment_not_capturable"), "another key, another intent");
    // The same key takes the same capture up at once: nobody works on it any more.
    let found = shop.command(&intent, "capture", "c1", None).await;
    assert_eq!((found.status, found.json()["status"].as_str()), (200, Some("succeeded")), "{}", found.text);
    assert_eq!(shop.count("sandbox_operations").await, 1);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_is_not_held_cannot_be_collected() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.intent(1_000).await;
    let refused = shop.command(&intent, "capture", "c1", None).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "payment_not_capturable"));
    let path = format!("/api/v1/payments/{}/capture", intent.id);
    let payer = [("authorization", intent.bearer.as_str()), ("idempotency-key", "k")];
    assert_eq!(shop.app.send("POST", &path, &payer, None).await.unwrap().status, 403);
    assert_eq!(shop.app.send("POST", &path, &[], None).await.unwrap().status, 401);
    let keyless = shop.app.send("POST", &path, &[("authorization", &shop.admin)], None).await.unwrap();
    assert_eq!(keyless.status, 428);
}

#[tokio::test]
async fn the_gateway_tells_of_a_capture_before_its_answer_comes() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.intent(1_000).await;
    let waits = shop.confirm(&intent, "k", "pm_card_authenticationRequired").await;
    let reference = waits.json()["next_action"]["reference"].clone();
    let held = event("evt_1", "payment_intent.amount_capturable_updated", &intent, json!({"id": reference}));
    assert_eq!(shop.webhook(&held).await.status, 200);
    assert_eq!(shop.status(&intent).await, "authorized");
    shop.assert_balanced().await;

    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let body = json!({"amount": usd(400)});
    assert_eq!(shop.command(&intent, "capture", "c1", Some(body)).await.status, 503);
    let object = json!({"id": reference, "amount": 1_000, "amount_received": 400});
    let told = event("evt_2", "payment_intent.succeeded", &intent, object);
    assert_eq!(shop.webhook(&told).await.status, 200);
    assert_eq!(shop.webhook(&held).await.status, 200);
    shop.reconcile_later().await;
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "captured_amount")), (Some("succeeded"), 400));
    assert_eq!(shop.ledger(&intent).await, ["authorization succeeded 1000", "capture succeeded 400"]);
    assert_eq!(shop.events().await, ["payment.authorized.v1", "payment.succeeded.v1"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_order_cancelled_while_its_capture_is_on_its_way_is_refunded() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    assert_eq!(shop.command(&intent, "capture", "c1", None).await.status, 503);
    shop.api.undo(intent.order, "cancelled").await.unwrap();
    assert_eq!(shop.ledger(&intent).await[1..], ["capture pending 1000"]);
    shop.reconcile_later().await;
    assert_eq!(shop.ledger(&intent).await[1..], ["capture succeeded 1000", "refund succeeded 1000"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_capture_is_taken_up_by_its_key_or_by_the_job_whichever_comes_first() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    for job_first in [false, true] {
        let (intent, key) = (shop.held(1_000).await, format!("capture-{job_first}"));
        shop.gateway.unreachable.store(2, Ordering::SeqCst);
        for _ in 0..2 {
            let away = shop.command(&intent, "capture", &key, None).await;
            assert_eq!((away.status, away.code().as_str()), (503, "gateway_unavailable"));
            assert!(!away.header("retry-after").is_empty());
        }
        // Inside the window in which somebody may still wait for an answer, the job leaves it alone.
        shop.module.reconcile().await.unwrap();
        assert_eq!(shop.ledger(&intent).await[1], "capture pending 1000");
        if job_first {
            shop.reconcile_later().await;
            assert_eq!(shop.status(&intent).await, "succeeded");
        }
        let found = shop.command(&intent, "capture", &key, None).await;
        assert_eq!((found.status, found.json()["status"].as_str()), (200, Some("succeeded")), "{}", found.text);
        shop.reconcile_later().await;
        assert_eq!(shop.ledger(&intent).await, ["authorization succeeded 1000", "capture succeeded 1000"]);
    }
    assert_eq!(shop.count("sandbox_operations").await, 2);
    shop.assert_balanced().await;
}
