//! Checkouts that go well, or well enough.

use eshopz_cart_api::CartOwner;
use eshopz_kernel::Pricing;
use eshopz_order::OrderSettings;
use eshopz_payment_api::PaymentStatus;
use serde_json::{Value, json};

use crate::shop::{CART_TOKEN, Shop, id_of, order_of, paid_order_of, path, text, with};

#[tokio::test]
async fn a_guest_buys_and_follows_the_parcel() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_999, 5);
    let cart = shop.guest_cart(&[(mug, 2)]);
    let answer = shop.place_as_guest("k1", paid_order_of(cart)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let order = answer.json();
    assert_eq!(answer.header("location"), path(&order, ""));
    assert!(!answer.header("etag").is_empty());
    assert_eq!((text(&order, "status"), text(&order, "number")), ("paid", "EZ-100001"));
    assert_eq!(order["totals"]["total"], json!({"amount": 3_998, "currency": "USD"}));
    assert_eq!(order["items"][0]["line_total"]["amount"], 3_998);
    assert_eq!(order["payment"]["status"], "succeeded");
    assert_eq!(order["customer_id"], Value::Null);
    assert_eq!(order["billing_address"], order["shipping_address"]);
    assert_eq!(shop.near.world().carts[&cart].checkout.ordered_as, Some(id_of(&order)));
    assert!(shop.near.world().holdings[&id_of(&order)].sold);

    let token = text(&order, "token").to_owned();
    assert_eq!(token.len(), 43);
    let guest = vec![("x-order-token", token.as_str())];
    let seen = shop.get("/api/v1/orders/ez-100001", &guest).await;
    assert_eq!((seen.status, seen.json()["token"].clone()), (200, Value::Null));
    let again = shop.get(&path(&order, ""), &vec![guest[0], ("if-none-match", &seen.header("etag"))]).await;
    assert_eq!(again.status, 304);
    assert_eq!(shop.get(&path(&order, ""), &vec![]).await.status, 404);
    assert_eq!(shop.get(&path(&order, ""), &vec![("x-order-token", "other")]).await.status, 404);

    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str())];
    let tracking = json!({"carrier": "DHL", "number": "1", "url": "https://dhl.com/1"});
    let shipped =
        shop.post(&path(&order, "/transitions"), &staff, json!({"to": "shipped", "tracking": tracking})).await;
    assert_eq!((shipped.status, text(&shipped.json(), "status")), (200, "shipped"), "{}", shipped.text);
    assert_eq!(shipped.json()["tracking"]["carrier"], "DHL");
    let delivered = shop.post(&path(&order, "/transitions"), &staff, json!({"to": "delivered"})).await;
    assert_eq!(text(&delivered.json(), "status"), "delivered");
    assert_eq!(delivered.json()["tracking"], tracking);

    let timeline = shop.get(&path(&order, "/timeline"), &guest).await.json();
    let events: Vec<&str> = timeline["items"].as_array().unwrap().iter().map(|entry| text(entry, "event")).collect();
    assert_eq!(events, ["placed", "paid", "processing", "shipped", "delivered"]);
    assert_eq!(timeline["items"][0]["actor"], json!({"type": "guest", "id": null}));
    assert_eq!(timeline["items"][1]["actor"]["type"], "system");
    assert_eq!(timeline["items"][3]["actor"]["type"], "admin");
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_customer_is_known_by_account() {
    let settings = OrderSettings {
        pricing: Pricing { shipping_flat: 500, tax_rates: [("GB".to_owned(), 2_000)].into(), ..Pricing::default() },
        ..OrderSettings::default()
    };
    let shop = Shop::open_with(settings).await;
    let (user, bearer) = shop.customer();
    let cart = shop.near.cart(CartOwner::Customer(user), &[(shop.near.variant(1_000, 5), 1)]);
    let me = vec![("authorization", bearer.as_str())];
    let body = with(order_of(cart), "expected_total", json!({"amount": 1_700, "currency": "USD"}));
    let order = shop.place("k", &me, body).await.json();
    assert_eq!((text(&order, "status"), text(&order, "email")), ("pending_payment", "ada@example.com"));
    assert_eq!(order["totals"]["tax"]["amount"], 200);
    assert_eq!((order["customer_id"].clone(), order["token"].clone()), (json!(user), Value::Null));
    assert_eq!(order["payment"]["status"], "requires_payment_method");
    assert_eq!(shop.get(&path(&order, ""), &me).await.status, 200);
    let (_, stranger) = shop.customer();
    assert_eq!(shop.get(&path(&order, ""), &vec![("authorization", &stranger)]).await.status, 404);
    assert_eq!(shop.get(&path(&order, "/timeline"), &vec![("authorization", &stranger)]).await.status, 404);
}

#[tokio::test]
async fn a_signed_in_customer_may_order_a_guests_cart_by_its_token() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let both = vec![("authorization", bearer.as_str()), ("x-cart-token", CART_TOKEN)];
    let answer = shop.place("k", &both, order_of(cart)).await;
    assert_eq!((answer.status, answer.json()["customer_id"].clone()), (201, json!(user)));
    assert_eq!(answer.json()["token"], Value::Null);
}

#[tokio::test]
async fn a_declined_order_stands_and_is_paid_another_way() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let body = with(order_of(cart), "payment_method", "pm_card_chargeDeclined");
    let declined = shop.place_as_guest("k1", body.clone()).await;
    assert_eq!((declined.status, declined.code().as_str()), (402, "card_declined"), "{}", declined.text);
    let order = declined.json()["order"].clone();
    assert_eq!(text(&order, "status"), "pending_payment");
    let token = text(&order, "token").to_owned();
    let replay = shop.place_as_guest("k1", body).await;
    assert_eq!((replay.status, replay.header("idempotency-replayed").as_str()), (402, "true"));
    assert_eq!(replay.json()["order"]["token"], token.as_str());

    // The payer confirms at the payment module and looks at the order before its event is there.
    let payment = shop.near.payment(id_of(&order)).id;
    eshopz_payment_api::PaymentApi::confirm(&*shop.near, payment, "pm_card_visa").await.unwrap();
    let seen = shop.get(&path(&order, ""), &vec![("x-order-token", &token)]).await.json();
    assert_eq!((text(&seen, "status"), text(&seen["payment"], "status")), ("paid", "succeeded"));
    assert_eq!(shop.count("SELECT count(*) FROM orders.outbox WHERE name = 'order.paid.v1'").await, 1);
}

#[tokio::test]
async fn an_unpaid_order_takes_another_method_under_a_new_key() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let declined = shop.place_as_guest("k1", with(order_of(cart), "payment_method", "pm_card_chargeDeclined")).await;
    let paid = shop.place_as_guest("k2", paid_order_of(cart)).await;
    assert_eq!((paid.status, text(&paid.json(), "status")), (200, "paid"), "{}", paid.text);
    assert_eq!(paid.json()["id"], declined.json()["order"]["id"]);
    assert_eq!(paid.json()["token"], Value::Null);
}

#[tokio::test]
async fn what_the_payer_has_to_do_is_shown() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let body = with(order_of(cart), "payment_method", "pm_card_authenticationRequired");
    let answer = shop.place_as_guest("k1", body).await;
    assert_eq!((answer.status, text(&answer.json(), "status")), (201, "pending_payment"));
    assert_eq!(answer.json()["payment"]["status"], "requires_action");
    assert_eq!(answer.json()["payment"]["next_action"], json!({"type": "redirect"}));
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let answer = shop.place_as_guest("k2", with(order_of(cart), "payment_method", "pm_sandbox_timeout")).await;
    assert_eq!((answer.status, answer.json()["payment"]["status"].clone()), (201, json!("processing")));
}

#[tokio::test]
async fn what_costs_nothing_is_paid_at_once() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(0, 5), 1)]);
    let answer = shop.place_as_guest("k1", order_of(cart)).await;
    assert_eq!((answer.status, text(&answer.json(), "status")), (201, "paid"), "{}", answer.text);
    let order = id_of(&answer.json());
    assert_eq!(shop.near.payment(order).status, PaymentStatus::RequiresPaymentMethod);
    assert!(shop.near.world().holdings[&order].sold);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
