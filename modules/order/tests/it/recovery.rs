//! What time and the listeners do when a request did not get to its end.

use std::time::Duration;

use eshopz_kernel::OrderId;
use eshopz_order::OrderSettings;
use eshopz_payment_api::PaymentStatus;
use serde_json::{Value, json};

use crate::shop::{Shop, id_of, order_of, path, text};

/// As an admin, who needs no token.
async fn cancel(shop: &Shop, order: OrderId) {
    let admin = shop.app.identity.admin();
    let path = format!("/api/v1/orders/{order}/cancel");
    let answer = shop.post(&path, &vec![("authorization", &admin)], json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

#[tokio::test]
async fn a_listener_finishes_what_a_request_could_not() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    shop.way.block("payments.create");
    let answer = shop.place_as_guest("k", order_of(cart)).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE finished_at IS NULL").await, 1);

    shop.way.clear();
    shop.deliver_own_events().await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE finished_at IS NULL").await, 0);
    let answer = shop.place_as_guest("k", order_of(cart)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let order = answer.json();
    assert_eq!(order["payment"]["status"], "requires_payment_method");
    assert_eq!(order["payment"]["amount"], order["totals"]["total"]);
    assert_eq!(shop.near.payment(id_of(&order)).id.to_string(), order["payment"]["id"].as_str().unwrap());
    assert_eq!(shop.near.world().payers[&id_of(&order)].as_ref().map(String::len), Some(64));
    assert_eq!(shop.near.world().carts[&cart].checkout.ordered_as, Some(id_of(&order)));
}

#[tokio::test]
async fn an_interrupted_request_is_resumed_under_its_key() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    let first = shop.place_as_guest("k", order_of(cart)).await.json();
    // As if the process had died after its commit: no answer is kept, nothing is finished.
    shop.sql("UPDATE orders.idempotency_keys SET status = NULL, body = NULL, location = NULL").await;
    shop.sql("UPDATE orders.orders SET finished_at = NULL").await;
    shop.near.world().payments.clear();
    shop.near.world().carts.get_mut(&cart).unwrap().checkout.ordered_as = None;
    let soon = shop.place_as_guest("k", order_of(cart)).await;
    assert_eq!((soon.status, soon.code().as_str()), (409, "idempotency_in_progress"));

    shop.sql("UPDATE orders.idempotency_keys SET created_at = now() - interval '1 minute'").await;
    let resumed = shop.place_as_guest("k", order_of(cart)).await;
    assert_eq!(resumed.status, 201, "{}", resumed.text);
    assert_eq!(resumed.json(), first, "token included");
    assert!(shop.near.world().carts[&cart].checkout.ordered_as.is_some());
}

#[tokio::test]
async fn a_checkout_that_broke_off_with_the_last_ones_is_repeated() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 2);
    let cart = shop.guest_cart(&[(mug, 2)]);
    // Its transaction fails after it has reserved.
    shop.sql("ALTER TABLE orders.order_lines RENAME TO away").await;
    let broken = shop.place_as_guest("k", order_of(cart)).await;
    assert!(broken.status >= 500, "{}", broken.text);
    assert_eq!(shop.near.available(mug), 0);

    shop.sql("ALTER TABLE orders.away RENAME TO order_lines").await;
    let answer = shop.place_as_guest("k", order_of(cart)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!((shop.near.available(mug), shop.near.world().reserved.len()), (0, 1));
}

#[tokio::test]
async fn a_cancellation_is_undone_once_the_stock_can_be_reached() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    let order = shop.place_as_guest("k", order_of(shop.guest_cart(&[(mug, 2)]))).await.json();
    shop.way.block("products.release");
    let guest = vec![("x-order-token", text(&order, "token"))];
    let answer = shop.post(&path(&order, "/cancel"), &guest, json!({})).await;
    assert_eq!((answer.status, text(&answer.json(), "status")), (200, "cancelled"));
    // The money did not wait for the stock.
    assert_eq!((answer.json()["payment"]["status"].clone(), shop.near.available(mug)), (json!("cancelled"), 3));
    shop.way.clear();
    shop.deliver_own_events().await;
    assert_eq!(shop.near.available(mug), 5);
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NOT NULL").await, 1);
}

#[tokio::test]
async fn an_order_cancelled_before_it_was_finished_can_never_be_paid() {
    let shop = Shop::open().await;
    shop.way.block("payments.create");
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 5), 1)]);
    assert_eq!(shop.place_as_guest("k", order_of(cart)).await.status, 503);
    let order = shop.only_order().await;
    cancel(&shop, order).await;
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 1);
    shop.way.clear();
    shop.deliver_own_events().await;
    assert_eq!(shop.near.payment(order).status, PaymentStatus::Cancelled);
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE undone_at IS NULL").await, 0);
}

#[tokio::test]
async fn unpaid_orders_expire_unless_they_are_paid_after_all() {
    let shop = Shop::open_with(OrderSettings { unpaid_expiry: Duration::ZERO, ..OrderSettings::default() }).await;
    let mug = shop.near.variant(1_000, 5);
    let mut orders: Vec<Value> = Vec::new();
    for key in ["unpaid", "paid", "unknown"] {
        orders.push(shop.place_as_guest(key, order_of(shop.guest_cart(&[(mug, 1)]))).await.json());
    }
    let ids: Vec<_> = orders.iter().map(id_of).collect();
    let set = |order, status| shop.near.world().payments.get_mut(&order).unwrap().status = status;
    set(ids[1], PaymentStatus::Succeeded);
    set(ids[2], PaymentStatus::Processing);
    shop.work_until(|near| near.available(mug) == 3 && near.world().holdings[&ids[1]].sold).await;

    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str())];
    let mut seen = Vec::new();
    for order in &orders {
        seen.push(shop.get(&path(order, ""), &staff).await.json());
    }
    let statuses: Vec<&str> = seen.iter().map(|order| text(order, "status")).collect();
    assert_eq!(statuses, ["cancelled", "paid", "pending_payment"]);
    assert_eq!(seen[0]["cancel_reason"], "expired");
    let timeline = shop.get(&path(&orders[0], "/timeline"), &staff).await.json();
    assert_eq!(timeline["items"][1]["actor"], json!({"type": "system", "id": null}));
    assert_eq!(timeline["items"][1]["reason"], "expired");
    assert_eq!(shop.near.payment(ids[0]).status, PaymentStatus::Cancelled);
}

#[tokio::test]
async fn a_job_picks_up_what_everybody_has_left() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 5);
    shop.way.block("payments.create");
    shop.place_as_guest("a", order_of(shop.guest_cart(&[(mug, 1)]))).await;
    cancel(&shop, shop.only_order().await).await;
    let cart = shop.guest_cart(&[(mug, 1)]);
    shop.place_as_guest("b", order_of(cart)).await;
    shop.sql(
        "UPDATE orders.orders SET placed_at = placed_at - interval '2 minutes', \
         cancelled_at = cancelled_at - interval '2 minutes'",
    )
    .await;
    let found: Vec<_> = shop.module.verify().await.unwrap().findings.iter().map(|found| found.check).collect();
    assert_eq!(found, ["order_finished", "order_finished", "order_undone"]);

    shop.way.clear();
    shop.work_until(|near| near.available(mug) == 4 && near.world().carts[&cart].checkout.ordered_as.is_some()).await;
    assert_eq!(shop.module.verify().await.unwrap().findings, []);
}
