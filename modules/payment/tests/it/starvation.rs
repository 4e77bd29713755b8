//! What nobody can help does not hold up what can be helped.

use eshopz_kernel::{OrderId, PaymentId};
use serde_json::json;

use crate::shop::{Intent, Shop, amount, event};

/// So many rows that will never be settled.
const HOPELESS: i64 = 500;

#[tokio::test]
async fn an_answer_is_found_behind_five_hundred_that_are_not() {
    let shop = Shop::open().await;
    let stuck = shop.paid(1_000_000).await;
    // Refunds that the gateway does not take: their charge is not known there, and they stay open.
    shop.plant(&format!(
        "INSERT INTO payments.transactions (id, payment_id, kind, status, amount_minor, currency, gateway_reference, \
            tried_at, due_at) \
         SELECT gen_random_uuid(), '{}', 'charge', 'surplus', 1, 'USD', 'nobody_knows_' || n, \
            now() - interval '2 days', now() - interval '2 days' FROM generate_series(1, {HOPELESS}) n",
        stuck.id
    ))
    .await;
    let intent = shop.intent(100).await;
    shop.gateway.lost_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    shop.confirm(&intent, "k", "pm_card_visa").await;
    shop.plant("UPDATE payments.transactions SET tried_at = now() - interval '1 hour' WHERE status = 'pending'").await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.status(&intent).await, "succeeded");
    let tried = "transactions WHERE status = 'surplus' AND tries = 1";
    assert_eq!(shop.count(tried).await, HOPELESS, "each was tried, and is due again later");
    // Each time later than the time before.
    for _ in 0..8 {
        shop.plant("UPDATE payments.transactions SET tried_at = now() - interval '1 hour', due_at = now()").await;
        shop.module.reconcile().await.unwrap();
    }
    let later = "transactions WHERE status = 'surplus' AND tries = 9 AND due_at > now() + interval '20 minutes'";
    assert_eq!(shop.count(later).await, HOPELESS);
}

#[tokio::test]
async fn an_event_is_applied_behind_five_hundred_that_cannot_be() {
    let shop = Shop::open().await;
    shop.plant(&format!(
        "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body, due_at) \
         SELECT gen_random_uuid(), 'sandbox', 'evt_broken_' || n, 'payment_intent.succeeded', '{{', \
            now() - interval '2 days' FROM generate_series(1, {HOPELESS}) n"
    ))
    .await;
    let intent = shop.intent(100).await;
    let body =
        event("evt_good", "payment_intent.succeeded", &intent, json!({"id": "sbx_ch_1", "amount_received": 100}));
    shop.plant(&format!(
        "INSERT INTO payments.webhook_events (id, gateway, event_id, type, body) \
         VALUES (gen_random_uuid(), 'sandbox', 'evt_good', 'payment_intent.succeeded', '{body}')"
    ))
    .await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(shop.status(&intent).await, "succeeded");
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL AND tries = 1").await, HOPELESS);
}

#[tokio::test]
async fn money_goes_back_behind_five_hundred_that_does_not() {
    let shop = Shop::open().await;
    // Paid with a charge that the gateway does not know: it refuses each refund.
    shop.plant(&format!(
        "INSERT INTO payments.payments (id, order_id, currency, amount_minor, captured_minor, status, gateway, \
            gateway_reference, undo_requested_at, undo_due_at, secured_at) \
         SELECT gen_random_uuid(), gen_random_uuid(), 'USD', 1, 1, 'succeeded', 'sandbox', 'nobody_knows', \
            now() - interval '2 days', now() - interval '2 days', now() FROM generate_series(1, {HOPELESS})"
    ))
    .await;
    let intent = shop.paid(100).await;
    shop.plant(&format!(
        "UPDATE payments.payments SET undo_requested_at = now(), undo_due_at = now() WHERE id = '{}'",
        intent.id
    ))
    .await;
    shop.module.reconcile().await.unwrap();
    assert_eq!(amount(&shop.read(&intent).await, "refunded_amount"), 100);
    let tried = "payments WHERE undo_tries = 1 AND refunded_minor = 0";
    assert_eq!(shop.count(tried).await, HOPELESS);
}

#[tokio::test]
async fn parked_events_are_applied_as_soon_as_their_payment_is_there() {
    let shop = Shop::open().await;
    let early = Intent { id: PaymentId::new(), order: OrderId::new(), bearer: String::new() };
    let object = json!({"id": "sbx_ch_early", "amount": 100, "amount_received": 100});
    assert_eq!(shop.webhook(&event("evt_1", "payment_intent.succeeded", &early, object)).await.status, 200);
    shop.plant(
        "UPDATE payments.webhook_events SET received_at = received_at - interval '1 hour', \
         due_at = now() + interval '1 hour'",
    )
    .await;
    // Whose it is may never be known: other programs with the same account at the gateway have payments too.
    shop.assert_balanced().await;
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NULL").await, 1, "parked, not dropped");
    let made = shop.create(&early, 100).await;
    assert_eq!(made.status, eshopz_payment_api::PaymentStatus::Succeeded);
    shop.assert_balanced().await;
}
