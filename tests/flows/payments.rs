//! What the gateway says, and when.

use chrono::Utc;
use eshopz_payment::gateway::signature;
use serde_json::{Value, json};

use crate::support::{Answer, Shop, id, is_problem};

const SECRET: &str = "whsec_sandbox";

/// The gateway tells something, signed with a secret.
pub async fn webhook(shop: &Shop, secret: &str, event: &Value) -> Answer {
    let body = event.to_string();
    let signature = signature::sign(secret, Utc::now().timestamp(), &body);
    let headers = [("sandbox-signature", signature.as_str()), ("content-type", "application/json")];
    shop.raw("POST", "/api/v1/payments/webhooks/sandbox", &headers, body.into_bytes()).await
}

/// An order whose payment waits for the payer's bank, and the bank's good word.
async fn waiting(shop: &Shop) -> (Value, Value) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let order = shop.guest_order(&shirt, 1, Some("pm_card_authenticationRequired")).await;
    assert_eq!(order["status"], "pending_payment");
    let token = order["token"].as_str().unwrap();
    let payment = shop.get(&format!("/api/v1/payments/{}", id(&order["payment"])), &[("x-order-token", token)]).await;
    assert_eq!(payment["status"], "requires_action");
    let event = json!({
        "id": shop.unique("evt"), "type": "payment_intent.succeeded",
        "data": {"object": {
            "id": payment["next_action"]["reference"], "amount": 4_900, "amount_received": 4_900,
            "metadata": {"payment_id": id(&payment)},
        }},
    });
    (order, event)
}

pub async fn a_bank_that_asks_back(shop: &Shop) {
    let (order, event) = waiting(shop).await;
    assert_eq!(webhook(shop, SECRET, &event).await.status, 200);
    let path = format!("/api/v1/orders/{}", id(&order));
    let token = order["token"].as_str().unwrap();
    let read = shop.until(&path, &[("x-order-token", token)], |order| order["status"] == "paid").await;
    assert_eq!(read["payment"]["status"], "succeeded");
}

pub async fn webhooks_in_any_number(shop: &Shop) {
    let (order, event) = waiting(shop).await;
    is_problem(&webhook(shop, "another", &event).await, &[400], "invalid_signature");
    let told = futures::future::join_all((0..6).map(|_| webhook(shop, SECRET, &event))).await;
    assert!(told.iter().all(|answer| answer.status == 200), "{told:?}");
    let mut late = event.clone();
    late["id"] = json!(shop.unique("evt"));
    late["type"] = json!("payment_intent.payment_failed");
    assert_eq!(webhook(shop, SECRET, &late).await.status, 200);
    let token = [("x-order-token", order["token"].as_str().unwrap())];
    let path = format!("/api/v1/orders/{}", id(&order));
    shop.until(&path, &token, |order| order["status"] == "paid").await;
    let payment = shop.get(&format!("/api/v1/payments/{}", id(&order["payment"])), &token).await;
    assert_eq!((&payment["status"], &payment["captured_amount"]["amount"]), (&json!("succeeded"), &json!(4_900)));
}
