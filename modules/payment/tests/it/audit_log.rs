//! Captures and refunds of admins leave an entry each in the audit log; what others do leaves none.

use eshopz_kernel::{RefundId, UserId};
use eshopz_payment::CaptureMode;
use serde_json::{Value, json};

use crate::shop::{Shop, give_back, usd};

async fn entries(shop: &Shop) -> Vec<Value> {
    shop.app.audit_log("/api/v1/payments/audit-log?limit=100", &shop.admin).await.unwrap()
}

#[tokio::test]
async fn captures_and_refunds_are_noted_once() {
    let shop = Shop::open_with(CaptureMode::Manual).await;
    let intent = shop.held(1_000).await;
    assert_eq!(entries(&shop).await.len(), 0, "the payer's doing");
    assert_eq!(shop.command(&intent, "capture", "c", Some(json!({"amount": usd(1_001)}))).await.status, 409);
    for _ in 0..2 {
        assert_eq!(shop.command(&intent, "capture", "c1", Some(json!({"amount": usd(900)}))).await.status, 200);
    }
    assert_eq!(shop.refund(&intent, "r", 901).await.status, 409);
    for _ in 0..2 {
        assert_eq!(shop.refund(&intent, "r1", 300).await.status, 201);
    }
    // What an order asks for is in the order's log, if an admin was behind it.
    shop.api.refund(give_back(&intent, RefundId::new(), 100)).await.unwrap();

    let all = entries(&shop).await;
    assert_eq!(all.len(), 2, "{all:#?}");
    for (entry, (action, amount)) in all.iter().zip([("payment.captured", 900), ("payment.refunded", 300)]) {
        assert_eq!(entry["action"], action);
        assert_eq!((&entry["subject_type"], &entry["subject_id"]), (&json!("payment"), &json!(intent.id)));
        assert_eq!((&entry["actor_role"], &entry["address"]), (&json!("admin"), &json!("127.0.0.1")));
        assert_eq!(entry["details"]["amount"], json!(usd(amount)));
        assert_eq!(entry["details"]["order_id"], json!(intent.order));
    }
}

#[tokio::test]
async fn only_admins_read_it() {
    let shop = Shop::open().await;
    let customer = shop.app.identity.customer(UserId::new());
    let headers = [("authorization", customer.as_str())];
    assert_eq!(shop.app.send("GET", "/api/v1/payments/audit-log", &headers, None).await.unwrap().status, 403);
    assert_eq!(shop.app.send("GET", "/api/v1/payments/audit-log", &[], None).await.unwrap().status, 401);
}
