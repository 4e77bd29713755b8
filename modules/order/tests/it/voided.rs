//! The gateway lets a hold go although nobody asked: the order does not leave the house.

use eshopz_kernel::OrderId;
use eshopz_payment_api::{PaymentCancelled, PaymentStatus};
use serde_json::{Value, json};

use crate::cancel_lines::{cancel, items, paid, ship};
use crate::shop::{Shop, id_of, order_of, paid_order_of, path, text};

/// The hold is gone at the gateway, and nothing was collected.
fn let_go(shop: &Shop, order: OrderId) -> PaymentCancelled {
    let mut world = shop.near.world();
    let payment = world.payments.get_mut(&order).unwrap();
    payment.status = PaymentStatus::Cancelled;
    payment.captured_amount.amount = 0;
    payment.refunded_amount.amount = 0;
    PaymentCancelled { payment_id: payment.id, order_id: order, amount: payment.amount, at: chrono::Utc::now() }
}

async fn read(shop: &Shop, order: &Value) -> Value {
    shop.get(&path(order, ""), &vec![("x-order-token", text(order, "token"))]).await.json()
}

#[tokio::test]
async fn an_order_whose_hold_is_gone_is_cancelled() {
    let shop = Shop::open().await;
    let (order, mug, pot) = paid(&shop).await;
    let event = let_go(&shop, id_of(&order));
    for _ in 0..2 {
        shop.deliver(&event).await;
    }
    let after = read(&shop, &order).await;
    assert_eq!((text(&after, "status"), text(&after, "cancel_reason")), ("cancelled", "payment_voided"));
    assert_eq!((shop.near.available(mug), shop.near.available(pot)), (10, 10));
    let timeline = shop.get(&path(&order, "/timeline"), &vec![("x-order-token", text(&order, "token"))]).await.json();
    let last = timeline["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((text(&last, "event"), text(&last, "reason")), ("cancelled", "payment_voided"));
    assert_eq!(last["actor"]["type"], "system");
    let refused = ship(&shop, &order).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "invalid_transition"));
    shop.deliver_own_events().await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 0);
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}

#[tokio::test]
async fn it_is_not_shipped_before_anybody_has_heard_of_it() {
    let shop = Shop::open().await;
    let (order, mug, _) = paid(&shop).await;
    let_go(&shop, id_of(&order));
    let refused = ship(&shop, &order).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "invalid_transition"), "{}", refused.text);
    assert_eq!((text(&read(&shop, &order).await, "status"), shop.near.available(mug)), ("cancelled", 10));
}

#[tokio::test]
async fn one_that_is_late_undoes_what_came_before_it() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    let order = shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 2)]))).await.json();
    let event = let_go(&shop, id_of(&order));
    // Told in the wrong order: unpaid, it waits for its expiry.
    shop.deliver(&event).await;
    assert_eq!(text(&read(&shop, &order).await, "status"), "pending_payment");
    let PaymentCancelled { payment_id, order_id, amount, at } = event;
    shop.deliver(&eshopz_payment_api::PaymentAuthorized { payment_id, order_id, amount, at }).await;
    assert_eq!(text(&read(&shop, &order).await, "cancel_reason"), "payment_voided");
    assert_eq!(shop.near.available(mug), 5);
}

#[tokio::test]
async fn our_own_cancellations_are_left_alone() {
    let shop = Shop::open().await;
    // The whole order: it is cancelled before its payment is.
    let (order, mug, _) = paid(&shop).await;
    cancel(&shop, &order, &[], json!({"reason": "too late"})).await;
    let event = let_go(&shop, id_of(&order));
    shop.deliver(&event).await;
    assert_eq!(text(&read(&shop, &order).await, "cancel_reason"), "too late");
    assert_eq!(shop.near.available(mug), 10);

    // All that was paid for: nothing is left of the hold, and the gift is sent.
    let gift = shop.near.variant(0, 5);
    let order = shop.place_as_guest("k", paid_order_of(shop.guest_cart(&[(mug, 1), (gift, 1)]))).await.json();
    assert_eq!(cancel(&shop, &order, &[], items(&[(mug, 1)])).await.status, 200);
    let event = let_go(&shop, id_of(&order));
    shop.deliver(&event).await;
    assert_eq!(text(&read(&shop, &order).await, "status"), "paid");
    assert_eq!(ship(&shop, &order).await.status, 200);
}
