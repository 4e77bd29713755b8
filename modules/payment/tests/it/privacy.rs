//! What is held on a payer: handed over, and forgotten when the account is deleted.

use std::sync::Arc;

use chrono::Utc;
use eshopz_kernel::{Event, EventEnvelope, EventId, UserId};
use eshopz_platform::events::Listener;
use eshopz_user_api::{ExportRequested, UserApi, UserDeleted};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::shop::{Shop, event, usd};

async fn tell<E: Event>(listeners: &[Arc<dyn Listener>], told: &E) {
    let event = EventEnvelope {
        id: EventId::new(),
        name: E::NAME.to_owned(),
        occurred_at: Utc::now(),
        payload: serde_json::to_value(told).unwrap(),
        traceparent: None,
    };
    for listener in listeners.iter().filter(|listener| listener.events().contains(&E::NAME)) {
        listener.handle(&event).await.unwrap();
        listener.handle(&event).await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_account_leaves_sums_and_no_words() {
    let shop = Shop::open().await;
    let (intent, other) = (shop.paid(1_000).await, shop.paid(700).await);
    for (intent, key) in [(&intent, "r1"), (&other, "r2")] {
        let body = json!({"amount": usd(300), "reason": "Ann did not like it"});
        assert_eq!(shop.command(intent, "refunds", key, Some(body)).await.status, 201);
    }
    let before = shop.ledger(&intent).await;
    let user = shop.row(&format!("SELECT customer_id FROM payments.payments WHERE id = '{}'", intent.id)).await;
    let user: UserId = user["customer_id"].as_str().unwrap().parse().unwrap();
    let users: Arc<dyn UserApi> = Accounts::shared();
    let listeners = shop.module.listeners(&users);
    tell(&listeners, &UserDeleted { user_id: user, email_hash: None, at: Utc::now() }).await;

    assert_eq!(shop.ledger(&intent).await, before);
    let payment = shop.read(&intent).await;
    assert_eq!((&payment["method"], &payment["status"]), (&Value::Null, &json!("succeeded")));
    assert_eq!(shop.count("transactions WHERE reason LIKE '%Ann%'").await, 1, "the other one's");
    assert_eq!(shop.count("transactions WHERE payment_method IS NOT NULL").await, 1);
    assert_eq!(shop.count("idempotency_keys").await, 2, "the other one's, and that of the refund to him");
    shop.assert_balanced().await;
}

#[tokio::test]
async fn what_a_gateway_told_is_not_kept_once_it_is_applied() {
    let shop = Shop::open().await;
    let intent = shop.paid(1_000).await;
    let name = shop.row(&format!("SELECT gateway_reference FROM payments.payments WHERE id = '{}'", intent.id)).await;
    let object = json!({"id": name["gateway_reference"], "amount": 1_000, "amount_received": 1_000, "name": "Ann"});
    assert_eq!(shop.webhook(&event("evt_1", "payment_intent.succeeded", &intent, object)).await.status, 200);
    assert_eq!(shop.count("webhook_events WHERE applied_at IS NOT NULL AND body = ''").await, 1);
}

#[tokio::test]
async fn a_payers_payments_are_handed_over() {
    let shop = Shop::open().await;
    let (intent, _) = (shop.paid(1_000).await, shop.paid(700).await);
    let user = shop.row(&format!("SELECT customer_id FROM payments.payments WHERE id = '{}'", intent.id)).await;
    let user: UserId = user["customer_id"].as_str().unwrap().parse().unwrap();
    let accounts = Accounts::shared();
    let users: Arc<dyn UserApi> = accounts.clone();
    let request = ExportRequested { export_id: Uuid::now_v7(), user_id: user, email_hash: None, at: Utc::now() };
    tell(&shop.module.listeners(&users), &request).await;
    let parts = accounts.exported.lock().unwrap();
    assert_eq!(parts.len(), 2, "the event came twice");
    assert_eq!(parts[0], parts[1]);
    assert_eq!((parts[0].module.as_str(), parts[0].number, parts[0].is_last), ("payment", 0, true));
    let payments = parts[0].document["payments"].as_array().unwrap();
    assert_eq!((payments.len(), &payments[0]["id"]), (1, &json!(intent.id)));
    assert_eq!((&payments[0]["captured_amount"], &payments[0]["method"]["last4"]), (&json!(1_000), &json!("4242")));
    assert_eq!(payments[0]["transactions"][0]["kind"], "charge");
    assert!(!parts[0].document.to_string().contains("payer_token_hash"));
}
