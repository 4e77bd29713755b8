//! A shop that is started with another gateway than the one at which some of its payments are.

use std::sync::atomic::Ordering;

use eshopz_payment::CaptureMode;
use serde_json::json;

use crate::shop::Shop;

const ELSEWHERE: &str = "UPDATE payments.payments SET gateway = 'stripe'";

#[tokio::test]
async fn what_is_open_at_another_gateway_stays_open() {
    let shop = Shop::open().await;
    let (pending, undone) = (shop.intent(100).await, shop.paid(100).await);
    shop.gateway.unheard.store(1, Ordering::SeqCst);
    shop.confirm(&pending, "k", "pm_card_visa").await;
    shop.plant(ELSEWHERE).await;
    shop.api.undo(undone.order, "cancelled").await.unwrap();
    shop.plant(
        "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body) \
         VALUES (gen_random_uuid(), 'stripe', 'evt_1', 'x', '{\"id\":\"evt_1\",\"type\":\"x\",\"data\":{\"object\":{}}}')",
    )
    .await;
    shop.reconcile_later().await;
    assert_eq!(shop.module.reconcile_all().await.unwrap().findings, []);
    assert_eq!(shop.status(&pending).await, "processing", "charged or not, the sandbox cannot know");
    assert_eq!(shop.ledger(&undone).await, ["charge succeeded 100"]);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL AND tries = 0").await, 1);
    shop.plant("UPDATE payments.payments SET gateway = 'sandbox'").await;
    shop.reconcile_later().await;
    assert_eq!(shop.status(&pending).await, "requires_payment_method");
    assert_eq!(shop.ledger(&undone).await, ["charge succeeded 100", "refund succeeded 100"]);
}

#[tokio::test]
async fn a_request_about_a_payment_at_another_gateway_is_told_so() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let (unpaid, held, collected) = (shop.intent(100).await, shop.held(100).await, shop.held(100).await);
    shop.command(&collected, "capture", "c", None).await;
    shop.plant(ELSEWHERE).await;
    let asked = shop.count("transactions").await;
    for answer in [
        shop.confirm(&unpaid, "k", "pm_card_visa").await,
        shop.command(&held, "capture", "other", None).await,
        shop.refund(&collected, "r", 40).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (503, "gateway_not_in_use"), "{}", answer.text);
        assert_eq!(answer.json()["gateway"], json!("stripe"));
        assert!(!answer.header("retry-after").is_empty());
    }
    assert_eq!(shop.count("transactions").await, asked, "nothing is begun");
}
