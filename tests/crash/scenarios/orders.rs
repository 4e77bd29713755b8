//! Orders: placed, cancelled, delivered.

use futures::future::join_all;
use serde_json::{Value, json};

pub use super::super::case::PAID;
use super::super::case::{Case, End, PRICE, QUANTITY, STOCK, TOTAL};
use super::super::patient::Patient;
use crate::support::{Shop, address, id};

pub const HELD: End = End { payment: "authorized", captured: 0, ..PAID };
pub const FREE: End = End { payment: "requires_payment_method", captured: 0, ..PAID };
pub const DELIVERED: End = End { order: "delivered", ..PAID };
pub const LET_GO: End =
    End { order: "cancelled", payment: "cancelled", captured: 0, refunded: 0, on_hand: STOCK, reserved: 0 };
pub const REFUNDED: End = End { payment: "succeeded", captured: TOTAL, refunded: TOTAL, ..LET_GO };

pub async fn cart(shop: &Shop) -> Case {
    Case::cart(shop, PRICE).await
}

pub async fn free_cart(shop: &Shop) -> Case {
    Case::cart(shop, 0).await
}

pub async fn unpaid(shop: &Shop) -> Case {
    Case::ordered(shop, None).await
}

pub async fn paid(shop: &Shop) -> Case {
    Case::ordered(shop, Some("pm_card_visa")).await
}

/// A paid order of an account; its token is in the place of the cart's.
pub async fn of_customer(shop: &Shop) -> Case {
    let case = cart(shop).await;
    let customer = shop.register(&shop.email(&case.name)).await;
    let me = [("authorization", customer.as_str())];
    let cart = id(&shop.get("/api/v1/carts/mine", &me).await).to_owned();
    let line = json!({"variant_id": case.variant, "quantity": QUANTITY});
    shop.send("POST", &format!("/api/v1/carts/{cart}/items"), &me, Some(line)).await.expect(201);
    let key = case.key("order");
    let body = json!({"cart_id": cart, "shipping_address": address(), "payment_method": "pm_card_visa"});
    let headers = [("authorization", customer.as_str()), ("idempotency-key", key.as_str())];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(body)).await.expect(201);
    Case { cart, cart_token: customer, order, ..case }
}

async fn order(patient: &Patient, case: &Case, key: &str, method: Option<&str>) -> Value {
    let headers = [("x-cart-token", case.cart_token.as_str()), ("idempotency-key", key)];
    patient.must(&[200, 201, 402], "POST", "/api/v1/orders", &headers, Some(case.body(method))).await
}

pub async fn checkout(patient: &Patient, case: &Case) {
    let first = order(patient, case, &case.key("order"), Some("pm_card_visa")).await;
    let again = order(patient, case, &case.key("order"), Some("pm_card_visa")).await;
    assert_eq!((first["status"].as_str(), id(&first)), (Some("paid"), id(&again)));
    assert!(first["token"].is_string(), "whoever placed the order must get in: {first}");
}

/// Under keys of their own; some will have lost.
pub async fn checkout_of_twins(patient: &Patient, case: &Case) {
    let keys: Vec<String> = (0..6).map(|n| case.key(&format!("twin-{n}"))).collect();
    let orders = join_all(keys.iter().map(|key| order(patient, case, key, Some("pm_card_visa")))).await;
    assert!(orders.iter().all(|order| id(order) == id(&orders[0])), "{orders:?}");
}

/// Somebody signed in orders a cart that was filled before.
pub async fn checkout_of_an_account(patient: &Patient, case: &Case) {
    let key = case.key("order");
    let account = [("authorization", case.admin.as_str()), ("x-cart-token", case.cart_token.as_str())];
    let headers = [account[0], account[1], ("idempotency-key", key.as_str())];
    let mut body = case.body(Some("pm_card_visa"));
    body.as_object_mut().unwrap().remove("email");
    patient.must(&[201], "POST", "/api/v1/orders", &headers, Some(body)).await;
}

/// The order stands, and its token pays for it another way.
pub async fn checkout_declined(patient: &Patient, case: &Case) {
    let declined = order(patient, case, &case.key("order"), Some("pm_card_chargeDeclined")).await;
    let order = &declined["order"];
    let key = case.key("pay");
    let headers = [("x-order-token", order["token"].as_str().unwrap()), ("idempotency-key", key.as_str())];
    let path = format!("/api/v1/payments/{}/confirm", id(&order["payment"]));
    patient.must(&[200], "POST", &path, &headers, Some(json!({"payment_method": "pm_card_visa"}))).await;
    patient.until("SELECT 1 FROM orders.orders WHERE id::text = $1 AND status = 'paid'", id(order)).await;
}

pub async fn checkout_for_nothing(patient: &Patient, case: &Case) {
    order(patient, case, &case.key("order"), None).await;
}

pub async fn checkout_held(patient: &Patient, case: &Case) {
    order(patient, case, &case.key("order"), Some("pm_card_visa")).await;
}

pub async fn cancel(patient: &Patient, case: &Case) {
    let (reason, key) = (json!({"reason": "changed my mind"}), case.key("cancel"));
    let headers = [("x-order-token", case.token()), ("idempotency-key", key.as_str())];
    let path = format!("{}/cancel", case.order_path());
    let order = patient.must(&[200], "POST", &path, &headers, Some(reason)).await;
    assert_eq!(order["status"], "cancelled");
}

/// All of it goes back, at once or by the job.
pub async fn cancel_paid(patient: &Patient, case: &Case) {
    cancel(patient, case).await;
    let back = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND refunded_minor = captured_minor";
    patient.until(back, case.payment()).await;
}

pub async fn cancel_held(patient: &Patient, case: &Case) {
    cancel(patient, case).await;
    let gone = "SELECT 1 FROM payments.payments WHERE id::text = $1 AND status = 'cancelled'";
    patient.until(gone, case.payment()).await;
}

/// The order is as a crash leaves it before it is noted that its payment is made.
pub async fn cancel_waiting(patient: &Patient, case: &Case) {
    let unfinished = "UPDATE orders.orders SET finished_at = NULL WHERE id::text = $1";
    patient.owner.execute(unfinished, &[&id(&case.order)]).await.unwrap();
    cancel_held(patient, case).await;
}

pub async fn deliver(patient: &Patient, case: &Case) {
    let path = format!("{}/transitions", case.order_path());
    for to in ["shipped", "delivered"] {
        let change = Some(json!({"to": to}));
        patient.must(&[200], "POST", &path, &[("authorization", &case.admin)], change).await;
    }
}

/// The account goes, and its name from the orders; a repetition finds nobody signed in.
pub async fn forget_the_customer(patient: &Patient, case: &Case) {
    let me = [("authorization", case.cart_token.as_str())];
    patient.must(&[204, 401], "DELETE", "/api/v1/users/me", &me, None).await;
    let forgotten = "SELECT 1 FROM orders.orders WHERE id::text = $1 AND email LIKE 'deleted@%'";
    patient.until(forgotten, id(&case.order)).await;
}
