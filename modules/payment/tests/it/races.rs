//! Many at once, many times.

use std::sync::atomic::Ordering;

use eshopz_kernel::RefundId;
use eshopz_payment::CaptureMode;
use futures::StreamExt as _;
use serde_json::json;

use crate::shop::{Intent, Shop, amount, event, give_back};

/// Whether a refund of 60 was made; else there was not so much left.
async fn refund_of_sixty(shop: &Shop, intent: &Intent, key: &str, by_order: bool) -> bool {
    if by_order {
        return match shop.api.refund(give_back(intent, RefundId::new(), 60)).await {
            Ok(_) => true,
            Err(fault) => {
                assert_eq!(fault.code, "refund_exceeds_captured");
                false
            }
        };
    }
    let answer = shop.refund(intent, &format!("{key}-{}", intent.id), 60).await;
    assert!(answer.status == 201 || answer.code() == "refund_exceeds_captured", "{}", answer.text);
    answer.status == 201
}

#[tokio::test]
async fn of_two_refunds_of_sixty_from_a_hundred_one_wins_a_thousand_times() {
    let shop = Shop::open().await;
    let (shop, held) = (&shop, Shop::open_with(CaptureMode::Manual).await);
    let held = &held;
    futures::stream::iter(0..1_000_u32)
        .for_each_concurrent(6, |round| async move {
            // By an admin, by an order, or one of each; of what was collected, and of what is held.
            let of_hold = round % 4 == 3;
            let shop = if of_hold { held } else { shop };
            let intent = if of_hold { shop.held(100).await } else { shop.paid(100).await };
            let (one, two) = (of_hold || round % 4 > 0, of_hold || round % 4 > 1);
            let made =
                tokio::join!(refund_of_sixty(shop, &intent, "one", one), refund_of_sixty(shop, &intent, "two", two));
            assert_ne!(made.0, made.1, "exactly one, in round {round}");
        })
        .await;
    assert_eq!(shop.count("sandbox_charges WHERE refunded_minor = 60 AND captured_minor = 100").await, 750);
    assert_eq!(shop.count("payments WHERE refunded_minor <> 60").await, 0);
    assert_eq!(held.count("payments WHERE released_minor <> 60").await, 0);
    shop.assert_balanced().await;
    held.assert_balanced().await;
}

#[tokio::test]
async fn of_a_capture_and_the_last_release_one_wins() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    for round in 0..60 {
        let intent = shop.held(100).await;
        let (last, key) = (give_back(&intent, RefundId::new(), 100), format!("capture-{round}"));
        let (captured, released) = tokio::join!(shop.command(&intent, "capture", &key, None), shop.api.refund(last));
        if captured.status == 200 {
            assert!(released.is_ok() || released.is_err_and(|fault| fault.code == "payment_outcome_unknown"));
        } else {
            assert_eq!(captured.code(), "payment_not_capturable", "round {round}");
            released.unwrap();
            assert_eq!(shop.status(&intent).await, "cancelled");
        }
    }
    shop.reconcile_later().await;
    shop.assert_balanced().await;
}

#[tokio::test]
async fn a_confirmation_a_webhook_and_an_undoing_leave_nothing_paid() {
    for capture in [CaptureMode::Automatic, CaptureMode::Manual] {
        let shop = Shop::open_with(capture).await;
        for round in 0..60 {
            let intent = shop.intent(100).await;
            let waits = shop.confirm(&intent, "k1", "pm_card_authenticationRequired").await;
            let reference = waits.json()["next_action"]["reference"].clone();
            let kind = if capture == CaptureMode::Manual && round % 2 == 0 {
                "payment_intent.amount_capturable_updated"
            } else {
                "payment_intent.succeeded"
            };
            let object = json!({"id": reference, "amount": 100, "amount_received": 100});
            let told = event(&format!("evt_{round}"), kind, &intent, object);
            if round % 3 == 0 {
                shop.gateway.lost_answers.store(1, Ordering::SeqCst);
            }
            let (paid, told, undone) = tokio::join!(
                shop.confirm(&intent, "k2", "pm_card_visa"),
                shop.webhook(&told),
                shop.api.undo(intent.order, "expired")
            );
            // 503 when the lost answer is that the first is let go.
            assert!([200, 409, 503].contains(&paid.status), "{}", paid.text);
            assert_eq!(told.status, 200, "{}", told.text);
            undone.unwrap();
            for _ in 0..3 {
                shop.reconcile_later().await;
            }
            let payment = shop.read(&intent).await;
            assert_eq!(amount(&payment, "captured_amount"), amount(&payment, "refunded_amount"), "{payment}");
            assert!(["succeeded", "cancelled"].contains(&payment["status"].as_str().unwrap()), "{payment}");
            let kept = format!(
                "sandbox_charges WHERE payment_id = '{}' AND (captured_minor <> refunded_minor OR status = 'authorized')",
                intent.id
            );
            assert_eq!(shop.count(&kept).await, 0, "round {round} {payment}");
        }
        shop.assert_balanced().await;
    }
}
