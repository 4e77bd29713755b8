//! An order gives part of its payment back, whatever became of that so far.

use std::sync::atomic::Ordering;

use eshopz_kernel::{FaultKind, OrderId, RefundId};
use eshopz_payment::CaptureMode;
use eshopz_payment_api::{PaymentStatus, RefundStatus};
use futures::future::join_all;
use serde_json::json;

use crate::shop::{Intent, Shop, amount, event, give_back, usd};

async fn back(shop: &Shop, intent: &Intent, amount: i64) -> RefundStatus {
    let done = shop.api.refund(give_back(intent, RefundId::new(), amount)).await.unwrap();
    assert_eq!(done.amount, usd(amount));
    done.status
}

async fn told(shop: &Shop, name: &str) -> usize {
    shop.events().await.iter().filter(|told| *told == name).count()
}

#[tokio::test]
async fn what_is_held_is_lowered_and_the_rest_collected() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    assert_eq!(back(&shop, &intent, 30).await, RefundStatus::Succeeded);
    assert_eq!(back(&shop, &intent, 20).await, RefundStatus::Succeeded);
    let more = shop.api.refund(give_back(&intent, RefundId::new(), 51)).await.unwrap_err();
    assert_eq!((more.kind, more.code.as_ref()), (FaultKind::Conflict, "refund_exceeds_captured"));
    assert_eq!(more.details["refundable"], json!(usd(50)));
    let payment = shop.read(&intent).await;
    assert_eq!((payment["status"].as_str(), amount(&payment, "released_amount")), (Some("authorized"), 50));
    let body = Some(json!({"amount": usd(51)}));
    let too_much = shop.command(&intent, "capture", "c1", body).await;
    assert_eq!((too_much.status, too_much.code().as_str()), (409, "capture_exceeds_authorized"));
    assert_eq!(too_much.json()["capturable"], json!(usd(50)));
    shop.assert_balanced().await;

    let rest = shop.command(&intent, "capture", "c2", None).await;
    assert_eq!((rest.status, amount(&rest.json(), "captured_amount")), (200, 50), "{}", rest.text);
    assert_eq!(shop.refund(&intent, "r", 51).await.code(), "refund_exceeds_captured");
    assert_eq!(back(&shop, &intent, 10).await, RefundStatus::Succeeded);
    assert_eq!(shop.refund(&intent, "r2", 40).await.status, 201);
    let rows = ["authorization succeeded 100", "release succeeded 30", "release succeeded 20", "capture succeeded 50"];
    assert_eq!(shop.ledger(&intent).await, [&rows[..], &["refund succeeded 10", "refund succeeded 40"]].concat());
    let listed = shop.get(&format!("/{}/transactions", intent.id)).await.json();
    let named =
        |row: &serde_json::Value| row["gateway_reference"].as_str().is_some_and(|name| name.starts_with("sbx_"));
    assert!(listed["items"].as_array().unwrap().iter().all(named), "{listed}");
    assert_eq!((told(&shop, "payment.released.v1").await, told(&shop, "payment.refunded.v1").await), (2, 2));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn the_last_part_lets_all_of_it_go() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    assert_eq!(back(&shop, &intent, 40).await, RefundStatus::Succeeded);
    // The gateway does it, and its answer is lost.
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    let last = give_back(&intent, RefundId::new(), 60);
    assert_eq!(shop.api.refund(last.clone()).await.unwrap().status, RefundStatus::Pending);
    assert_eq!(shop.command(&intent, "capture", "c", None).await.code(), "payment_not_capturable");
    let busy = shop.api.refund(give_back(&intent, RefundId::new(), 1)).await.unwrap_err();
    assert_eq!((busy.kind, busy.code.as_ref()), (FaultKind::Unavailable, "payment_outcome_unknown"));
    assert!(busy.retry_after.is_some());
    shop.reconcile_later().await;
    assert_eq!(shop.status(&intent).await, "cancelled");
    assert_eq!(shop.api.refund(last).await.unwrap().status, RefundStatus::Succeeded);
    assert_eq!(
        shop.ledger(&intent).await,
        ["authorization succeeded 100", "release succeeded 40", "release succeeded 60"]
    );
    assert_eq!(shop.count("sandbox_charges WHERE status = 'cancelled'").await, 1);
    assert_eq!((told(&shop, "payment.released.v1").await, told(&shop, "payment.cancelled.v1").await), (2, 1));
    let over = shop.api.refund(give_back(&intent, RefundId::new(), 1)).await.unwrap_err();
    assert_eq!((over.code.as_ref(), &over.details["payment_status"]), ("payment_not_refundable", &json!("cancelled")));
    shop.assert_balanced().await;
}

#[tokio::test]
async fn an_order_cancelled_after_a_part_lets_the_rest_go() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    assert_eq!(back(&shop, &intent, 40).await, RefundStatus::Succeeded);
    assert_eq!(shop.api.undo(intent.order, "cancelled").await.unwrap().status, PaymentStatus::Cancelled);
    assert_eq!(
        shop.ledger(&intent).await,
        ["authorization succeeded 100", "release succeeded 40", "void succeeded 60"]
    );
    shop.assert_balanced().await;
}

#[tokio::test]
async fn one_id_is_one_refund() {
    for capture in [CaptureMode::Automatic, CaptureMode::Manual] {
        let shop = Shop::open_with(capture).await;
        let intent = shop.intent(100).await;
        shop.confirm(&intent, "k", "pm_card_visa").await;
        let command = give_back(&intent, RefundId::new(), 60);
        let twins = join_all((0..10).map(|_| shop.api.refund(command.clone()))).await;
        for twin in twins {
            let twin = twin.unwrap();
            assert_eq!((twin.id, twin.amount), (command.refund_id, usd(60)));
        }
        shop.reconcile_later().await;
        assert_eq!(shop.api.refund(command.clone()).await.unwrap().status, RefundStatus::Succeeded);
        assert_eq!(shop.ledger(&intent).await.len(), 2);
        let other = shop.api.refund(give_back(&intent, command.refund_id, 10)).await.unwrap_err();
        assert_eq!((other.kind, other.code.as_ref()), (FaultKind::Conflict, "refund_exists"));
        let stranger = shop.intent(100).await;
        shop.confirm(&stranger, "k", "pm_card_visa").await;
        let other = shop.api.refund(give_back(&stranger, command.refund_id, 60)).await.unwrap_err();
        assert_eq!(other.code, "refund_exists");
        shop.assert_balanced().await;
    }
}

#[tokio::test]
async fn nothing_is_given_back_that_was_not_paid() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    for status in ["requires_payment_method", "requires_action", "processing", "cancelled"] {
        let fault = shop.api.refund(give_back(&intent, RefundId::new(), 10)).await.unwrap_err();
        match status {
            "processing" => assert_eq!(fault.code, "payment_outcome_unknown"),
            _ => assert_eq!(
                (fault.code.as_ref(), &fault.details["payment_status"]),
                ("payment_not_refundable", &json!(status))
            ),
        }
        match status {
            "requires_payment_method" => _ = shop.confirm(&intent, "k1", "pm_card_authenticationRequired").await,
            "requires_action" => _ = shop.confirm(&intent, "k2", "pm_sandbox_timeout").await,
            _ => {
                shop.api.undo(intent.order, "cancelled").await.unwrap();
                shop.reconcile_later().await;
            }
        }
    }
    let gone = Intent { order: OrderId::new(), ..shop.intent(1).await };
    assert_eq!(shop.api.refund(give_back(&gone, RefundId::new(), 1)).await.unwrap_err().code, "not_found");
    let paid = shop.paid(100).await;
    for bad in [0, -1] {
        let fault = shop.api.refund(give_back(&paid, RefundId::new(), bad)).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Invalid);
    }
    assert_eq!(shop.count("transactions WHERE kind IN ('refund', 'release')").await, 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn while_a_capture_is_on_its_way_nothing_is_released() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    shop.gateway.lost_answers.store(1, Ordering::SeqCst);
    assert_eq!(shop.command(&intent, "capture", "c", None).await.status, 503);
    let command = give_back(&intent, RefundId::new(), 30);
    let busy = shop.api.refund(command.clone()).await.unwrap_err();
    assert_eq!((busy.code.as_ref(), busy.retry_after), ("payment_outcome_unknown", Some(2)));
    shop.reconcile_later().await;
    assert_eq!(shop.api.refund(command).await.unwrap().status, RefundStatus::Succeeded);
    assert_eq!(shop.ledger(&intent).await[1..], ["capture succeeded 100", "refund succeeded 30"]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_the_gateway_collects_beyond_what_is_left_goes_back() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(100).await;
    for part in [30, 20] {
        assert_eq!(back(&shop, &intent, part).await, RefundStatus::Succeeded);
    }
    // Somebody collects 80 with the gateway's own program.
    let reference = shop.row("SELECT reference FROM payments.sandbox_charges").await["reference"].clone();
    let object = json!({"id": reference, "amount": 100, "amount_received": 80});
    for id in ["evt_1", "evt_2"] {
        assert_eq!(shop.webhook(&event(id, "payment_intent.succeeded", &intent, object.clone())).await.status, 200);
    }
    shop.reconcile_later().await;
    let payment = shop.read(&intent).await;
    let sums = ["captured_amount", "refunded_amount", "released_amount"].map(|name| amount(&payment, name));
    assert_eq!(sums, [80, 30, 20]);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_refund_that_fails_is_told_and_can_be_made_again() {
    let shop = Shop::open().await;
    let intent = shop.intent(100).await;
    shop.confirm(&intent, "k", "pm_card_refundFail").await;
    let command = give_back(&intent, RefundId::new(), 60);
    for _ in 0..2 {
        assert_eq!(shop.api.refund(command.clone()).await.unwrap().status, RefundStatus::Failed);
    }
    assert_eq!(told(&shop, "payment.refund_failed.v1").await, 1);
    assert_eq!(back(&shop, &intent, 100).await, RefundStatus::Failed);
    assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 0);
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_refund_that_the_bank_sends_back_can_be_made_again() {
    let shop = Shop::open().await;
    let intent = shop.paid(100).await;
    let refund = shop.refund(&intent, "r1", 60).await.json();
    let object = json!({"id": refund["gateway_reference"], "status": "failed", "amount": 60, "currency": "usd",
        "failure_reason": "lost_or_stolen_card", "payment_intent": "sbx_ch_x"});
    for id in ["evt_1", "evt_2"] {
        assert_eq!(shop.webhook(&event(id, "refund.failed", &intent, object.clone())).await.status, 200);
    }
    assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 0);
    let listed = shop.get(&format!("/{}/refunds", intent.id)).await.json();
    assert_eq!(listed["items"][0]["status"], "failed");
    assert_eq!(told(&shop, "payment.refund_failed.v1").await, 1);
    // One of a refund that is not known waits for its answer.
    let unknown = json!({"id": "sbx_re_unknown", "status": "failed", "payment_intent": "sbx_ch_x"});
    assert_eq!(shop.webhook(&event("evt_3", "refund.failed", &intent, unknown)).await.status, 200);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 1);
    shop.plant("UPDATE payments.sandbox_charges SET refunded_minor = 0").await;
    assert_eq!(shop.refund(&intent, "r2", 100).await.json()["status"], "succeeded");
    assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 100);
    shop.assert_balanced().await;
}
