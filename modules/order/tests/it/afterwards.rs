//! What happens to an order once it is placed: cancelled, shipped, paid too late.

use eshopz_kernel::{OrderId, UserId};
use eshopz_payment_api::{PaymentAuthorized, PaymentStatus, PaymentSucceeded};
use eshopz_user_api::UserDeleted;
use serde_json::{Value, json};

use eshopz_cart_api::CartOwner;

use crate::shop::{Shop, id_of, order_of, paid_order_of, path, text, with};

async fn placed(shop: &Shop, body: impl Fn(eshopz_kernel::CartId) -> Value) -> (Value, eshopz_kernel::VariantId) {
    let mug = shop.near.variant(1_000, 5);
    let cart = shop.guest_cart(&[(mug, 2)]);
    let answer = shop.place_as_guest(&cart.to_string(), body(cart)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    (answer.json(), mug)
}

fn succeeded(shop: &Shop, order: OrderId) -> PaymentSucceeded {
    let mut world = shop.near.world();
    let payment = world.payments.get_mut(&order).unwrap();
    payment.status = PaymentStatus::Succeeded;
    payment.captured_amount = payment.amount;
    PaymentSucceeded { payment_id: payment.id, order_id: order, amount: payment.amount, at: chrono::Utc::now() }
}

#[tokio::test]
async fn a_cancelled_order_gives_back_stock_and_money() {
    let shop = Shop::open().await;
    let (order, mug) = placed(&shop, paid_order_of).await;
    let guest = vec![("x-order-token", text(&order, "token"))];
    assert_eq!(shop.near.available(mug), 3);
    let answer = shop.post(&path(&order, "/cancel"), &guest, json!({"reason": "too blue"})).await;
    assert_eq!((answer.status, text(&answer.json(), "status")), (200, "cancelled"), "{}", answer.text);
    assert_eq!(answer.json()["cancel_reason"], "too blue");
    assert_eq!(answer.json()["payment"]["refunded_amount"]["amount"], 2_000);
    assert_eq!(shop.near.available(mug), 5);
    // Once more, without a body, changes nothing.
    let again = shop.app.send("POST", &path(&order, "/cancel"), &guest, None).await.unwrap();
    assert_eq!((again.status, again.json()["updated_at"].clone()), (200, answer.json()["updated_at"].clone()));
    for (body, status) in [(Value::Null, 200), (json!({"reason": "a\0b"}), 422), (json!({"why": "x"}), 422)] {
        assert_eq!(shop.post(&path(&order, "/cancel"), &guest, body).await.status, status);
    }
    shop.deliver_own_events().await;
    assert_eq!(shop.near.available(mug), 5);
    assert_eq!(shop.count("SELECT count(*) FROM orders.outbox WHERE name = 'order.cancelled.v1'").await, 1);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn a_stranger_cancels_nothing() {
    let shop = Shop::open().await;
    let (order, _) = placed(&shop, order_of).await;
    let (_, bearer) = shop.customer();
    for who in [vec![], vec![("authorization", bearer.as_str())], vec![("x-order-token", "guessed")]] {
        assert_eq!(shop.post(&path(&order, "/cancel"), &who, json!({})).await.status, 404);
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'cancelled'").await, 0);
}

#[tokio::test]
async fn what_has_left_the_house_stays_sold() {
    let shop = Shop::open().await;
    let (order, _) = placed(&shop, order_of).await;
    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str())];
    let take_to = async |to: &str| shop.post(&path(&order, "/transitions"), &staff, json!({"to": to})).await;
    for to in ["processing", "shipped", "delivered", "paid", "cancelled"] {
        let refused = take_to(to).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "invalid_transition"), "{to}");
        assert_eq!(refused.json()["allowed"], json!([]));
    }
    assert_eq!(take_to("pending_payment").await.status, 200);
    assert_eq!(take_to("lost").await.status, 422);

    shop.deliver(&succeeded(&shop, id_of(&order))).await;
    assert_eq!(take_to("delivered").await.json()["allowed"], json!(["processing", "shipped"]));
    assert_eq!(text(&take_to("processing").await.json(), "status"), "processing");
    let shipped = take_to("shipped").await;
    assert_eq!(text(&shipped.json(), "status"), "shipped");
    let unchanged = take_to("shipped").await;
    assert_eq!((unchanged.status, unchanged.header("etag")), (200, shipped.header("etag")));
    let refused = shop.post(&path(&order, "/cancel"), &staff, json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "invalid_transition"));
    assert_eq!(refused.json()["allowed"], json!(["delivered"]));
    // A problem's `status` is that of HTTP, always.
    assert_eq!((&refused.json()["status"], &refused.json()["order_status"]), (&json!(409), &json!("shipped")));
    let bad_link =
        with(json!({"to": "delivered"}), "tracking", json!({"carrier": "x", "number": "1", "url": "javascript:1"}));
    assert_eq!(shop.post(&path(&order, "/transitions"), &staff, bad_link).await.status, 422);
}

#[tokio::test]
async fn payment_events_may_repeat_and_come_late() {
    let shop = Shop::open().await;
    let (order, mug) = placed(&shop, order_of).await;
    let id = id_of(&order);
    let paid = succeeded(&shop, id);
    let held =
        PaymentAuthorized { payment_id: paid.payment_id, order_id: id, amount: paid.amount, at: chrono::Utc::now() };
    shop.deliver(&held).await;
    shop.deliver(&paid).await;
    shop.deliver(&paid).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.order_timeline WHERE event = 'paid'").await, 1);
    let guest = vec![("x-order-token", text(&order, "token"))];
    shop.post(&path(&order, "/cancel"), &guest, json!({})).await;
    // An answer of the gateway that was under way when the order was cancelled.
    shop.near.world().payments.get_mut(&id).unwrap().refunded_amount.amount = 0;
    shop.deliver(&paid).await;
    assert_eq!(shop.near.payment(id).refunded_amount, paid.amount);
    assert_eq!(shop.near.available(mug), 5);
}

#[tokio::test]
async fn an_order_whose_stock_is_gone_is_refunded() {
    let shop = Shop::open().await;
    let (order, mug) = placed(&shop, order_of).await;
    let id = id_of(&order);
    shop.near.world().free(id);
    shop.near.world().variants.get_mut(&mug).unwrap().available = 0;
    shop.deliver(&succeeded(&shop, id)).await;
    let seen = shop.get(&path(&order, ""), &vec![("x-order-token", text(&order, "token"))]).await.json();
    assert_eq!((text(&seen, "status"), text(&seen, "cancel_reason")), ("cancelled", "out_of_stock"));
    assert_eq!(seen["payment"]["refunded_amount"]["amount"], 2_000);
    assert_eq!(shop.near.available(mug), 0);
}

#[tokio::test]
async fn a_deleted_account_leaves_its_orders_without_a_name() {
    let shop = Shop::open().await;
    let (user, bearer) = shop.customer();
    let cart = shop.near.cart(CartOwner::Customer(user), &[(shop.near.variant(1_000, 5), 1)]);
    let order = shop.place("k", &vec![("authorization", &bearer)], order_of(cart)).await.json();
    let (other, _) = placed(&shop, order_of).await;
    shop.deliver(&UserDeleted { user_id: user, email_hash: None, at: chrono::Utc::now() }).await;
    shop.deliver(&UserDeleted { user_id: UserId::new(), email_hash: None, at: chrono::Utc::now() }).await;
    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str())];
    let seen = shop.get(&path(&order, ""), &staff).await;
    assert!(!seen.text.contains("Ada") && !seen.text.contains("SW1Y") && !seen.text.contains("ada@"), "{}", seen.text);
    assert_eq!(seen.json()["shipping_address"]["country"], "GB");
    assert_eq!(
        (seen.json()["totals"].clone(), seen.json()["items"].clone()),
        (order["totals"].clone(), order["items"].clone())
    );
    let other = shop.get(&path(&other, ""), &staff).await;
    assert_eq!(other.json()["email"], "guest@example.com");
    assert_eq!(shop.count("SELECT count(*) FROM orders.idempotency_keys WHERE body LIKE '%ada@%'").await, 0);
}
