//! From a guest's cart to a delivered order, and the ways in which it goes otherwise.

use serde_json::{Value, json};

use crate::support::{Server, address};

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn available(shop: &Server, admin: &str, variant: &str) -> i64 {
    let path = format!("/api/v1/variants/{variant}");
    shop.send("GET", &path, &[("authorization", admin)], None).await.expect(200)["available"].as_i64().unwrap()
}

#[tokio::test]
async fn guest_to_customer_to_delivered() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let hat = shop.product(&admin, "Straw Hat", 2_500, 10).await;
    let (guest_cart, cart_token) = shop.guest_cart(&[(&shirt, 2)]).await;

    let ada = shop.register("ada@example.com").await;
    let mine = shop.send("GET", "/api/v1/carts/mine", &[("authorization", &ada)], None).await.expect(200);
    let path = format!("/api/v1/carts/{}", id(&mine));
    let line = json!({"variant_id": hat, "quantity": 1});
    shop.send("POST", &format!("{path}/items"), &[("authorization", &ada)], Some(line)).await.expect(201);
    let merge = json!({"cart_id": guest_cart, "token": cart_token});
    let merged = shop.send("POST", &format!("{path}/merge"), &[("authorization", &ada)], Some(merge)).await.expect(200);
    assert_eq!(merged["item_count"], 3);
    assert_eq!(merged["totals"]["total"], json!({"amount": 12_300, "currency": "USD"}));

    let order = json!({
        "cart_id": id(&mine), "shipping_address": address(), "payment_method": "pm_card_visa",
        "expected_total": {"amount": 12_300, "currency": "USD"},
    });
    let headers = [("authorization", ada.as_str()), ("idempotency-key", "first")];
    let placed = shop.send("POST", "/api/v1/orders", &headers, Some(order.clone())).await;
    let location = placed.header("location");
    let placed = placed.expect(201);
    assert_eq!(placed["status"], "paid");
    assert_eq!(placed["payment"]["status"], "succeeded");
    assert_eq!(placed["email"], "ada@example.com");
    assert_eq!(location, format!("/api/v1/orders/{}", id(&placed)));
    let again = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(id(&again.expect(201)), id(&placed));
    assert_eq!(available(&shop, &admin, &shirt).await, 8);

    let path = format!("{location}/transitions");
    let parcel = json!({"carrier": "DHL", "number": "JD0146"});
    for change in [json!({"to": "shipped", "tracking": parcel}), json!({"to": "delivered"})] {
        let moved = shop.send("POST", &path, &[("authorization", &admin)], Some(change.clone())).await.expect(200);
        assert_eq!((&moved["status"], &moved["tracking"]), (&change["to"], &parcel));
    }
    let by_number = format!("/api/v1/orders/{}", placed["number"].as_str().unwrap());
    let read = shop.send("GET", &by_number, &[("authorization", &ada)], None).await.expect(200);
    assert_eq!(read["status"], "delivered");
    let timeline =
        shop.send("GET", &format!("{location}/timeline"), &[("authorization", &ada)], None).await.expect(200);
    assert!(timeline["items"].as_array().unwrap().len() >= 4, "{timeline}");
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn declined_then_paid_then_refunded_in_part() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, cart_token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", "order-1")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(order["status"], "pending_payment");
    let token = order["token"].as_str().unwrap();
    let payment = format!("/api/v1/payments/{}", id(&order["payment"]));
    let confirm = format!("{payment}/confirm");

    let declined = json!({"payment_method": "pm_card_chargeDeclined"});
    let headers = [("x-order-token", token), ("idempotency-key", "try-1")];
    let declined = shop.send("POST", &confirm, &headers, Some(declined)).await;
    assert_eq!((declined.status, declined.body["code"].as_str()), (402, Some("card_declined")));
    let visa = json!({"payment_method": "pm_card_visa"});
    let headers = [("x-order-token", token), ("idempotency-key", "try-2")];
    let paid = shop.send("POST", &confirm, &headers, Some(visa)).await.expect(200);
    assert_eq!(paid["status"], "succeeded");
    let path = format!("/api/v1/orders/{}", id(&order));
    let read = shop.send("GET", &path, &[("x-order-token", token)], None).await.expect(200);
    assert_eq!(read["status"], "paid");

    let refund = json!({"amount": {"amount": 1_000, "currency": "USD"}, "reason": "a loose button"});
    let headers = [("authorization", admin.as_str()), ("idempotency-key", "refund-1")];
    let refund = shop.send("POST", &format!("{payment}/refunds"), &headers, Some(refund)).await.expect(201);
    assert_eq!(refund["status"], "succeeded");
    let headers = [("authorization", admin.as_str()), ("idempotency-key", "refund-2")];
    let over = json!({"amount": {"amount": 8_801, "currency": "USD"}});
    let over = shop.send("POST", &format!("{payment}/refunds"), &headers, Some(over)).await;
    assert_eq!((over.status, over.body["code"].as_str()), (409, Some("refund_exceeds_captured")));
    let read = shop.send("GET", &path, &[("x-order-token", token)], None).await.expect(200);
    assert_eq!(read["payment"]["refunded_amount"]["amount"], 1_000);
    let history =
        shop.send("GET", &format!("{payment}/transactions"), &[("x-order-token", token)], None).await.expect(200);
    assert!(history["items"].as_array().unwrap().len() >= 3, "{history}");
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn cancelled_with_stock_and_money_back() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let (cart, cart_token) = shop.guest_cart(&[(&shirt, 3)]).await;
    let order = json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", "order-1")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(available(&shop, &admin, &shirt).await, 2);
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    let reason = json!({"reason": "changed my mind"});
    let cancelled =
        shop.send("POST", &format!("{path}/cancel"), &[("x-order-token", token)], Some(reason)).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    let read = shop
        .until(&path, &[("x-order-token", token)], |order| order["payment"]["refunded_amount"]["amount"] == 14_700)
        .await;
    assert_eq!(read["status"], "cancelled");
    let variant = format!("/api/v1/variants/{shirt}");
    shop.until(&variant, &[("authorization", &admin)], |variant| variant["available"] == 5).await;
    let late = shop
        .send("POST", &format!("{path}/transitions"), &[("authorization", &admin)], Some(json!({"to": "shipped"})))
        .await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("invalid_transition")));
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_unpaid_order_expires_and_frees_its_stock() {
    let shop = Server::start(&["--order-expiry-minutes", "0.02"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let (cart, cart_token) = shop.guest_cart(&[(&shirt, 5)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", "order-1")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(available(&shop, &admin, &shirt).await, 0);
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    shop.until(&path, &[("x-order-token", token)], |order| order["status"] == "cancelled").await;
    let variant = format!("/api/v1/variants/{shirt}");
    shop.until(&variant, &[("authorization", &admin)], |variant| variant["available"] == 5).await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn shipping_and_tax_show_in_the_totals() {
    let settings = ["--shipping-flat", "500", "--shipping-free-from", "10000", "--tax-rates", "GB=20"];
    let shop = Server::start(&settings).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let (cart, cart_token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let path = format!("/api/v1/carts/{cart}");
    let shown = shop.send("GET", &path, &[("x-cart-token", &cart_token)], None).await.expect(200);
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
    let line = [(shirt.as_str(), 1)];
    let buyers = (0..12).map(|n| {
        let (shop, line) = (&shop, &line);
        async move {
            let (cart, cart_token) = shop.guest_cart(line).await;
            let order = json!({
                "cart_id": cart, "email": "guest@example.com", "shipping_address": address(),
                "payment_method": "pm_card_visa",
            });
            let key = format!("order-{n}");
            let headers = [("x-cart-token", cart_token.as_str()), ("idempotency-key", key.as_str())];
            let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
            let token = order["token"].as_str().unwrap();
            let path = format!("/api/v1/orders/{}/cancel", id(&order));
            shop.send("POST", &path, &[("x-order-token", token)], None).await.expect(200);
        }
    });
    futures::future::join_all(buyers).await;
    let variant = format!("/api/v1/variants/{shirt}");
    shop.until(&variant, &[("authorization", &admin)], |variant| variant["available"] == 100).await;
    assert_eq!(shop.verify(), Vec::<Value>::new());
}
