//! Settings that change what a shop does.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Server, address, id};

#[tokio::test]
async fn an_order_expires_when_its_time_is_up() {
    let shop = Server::start(&["--order-expiry-minutes", "0.02"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let order = shop.guest_order(&shirt, 5, None).await;
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    shop.until(&path, &[("x-order-token", token)], |order| order["status"] == "cancelled").await;
    shop.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == 5).await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn shipping_and_tax_show_in_the_totals() {
    let settings = ["--shipping-flat", "500", "--shipping-free-from", "10000", "--tax-rates", "GB=20"];
    let shop = Server::start(&settings).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let (cart, cart_token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let shown = shop.get(&format!("/api/v1/carts/{cart}"), &[("x-cart-token", &cart_token)]).await;
    assert_eq!(shown["totals"]["shipping"]["amount"], 500);
    let order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
        "expected_total": {"amount": 1, "currency": "USD"},
    });
    let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", "wrong")];
    let wrong = shop.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await;
    assert_eq!((wrong.status, wrong.body["code"].as_str()), (409, Some("cart_changed")));
    let mut order = order;
    order["expected_total"]["amount"] = json!(4_900 + 500 + 980);
    let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", "right")];
    let placed = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(placed["totals"]["tax"]["amount"], 980);
}

/// Nothing holds a connection while it waits for another of the same pool: that would end in a standstill
/// as soon as enough requests come at once.
#[tokio::test]
async fn one_connection_per_module_is_enough() {
    let shop = Server::start(&["--database-pool", "1", "--database-wait-ms", "20000"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let buyers = (0..12).map(|_| {
        let (shop, shirt) = (&shop, &shirt);
        async move {
            let order = shop.guest_order(shirt, 1, Some("pm_card_visa")).await;
            let token = order["token"].as_str().unwrap();
            let path = format!("/api/v1/orders/{}/cancel", id(&order));
            shop.send("POST", &path, &[("x-order-token", token)], None).await.expect(200);
        }
    });
    join_all(buyers).await;
    shop.until(&format!("/api/v1/variants/{shirt}"), &[], |variant| variant["available"] == 100).await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}
