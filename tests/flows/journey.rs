//! From a guest's cart to a delivered order, and the ways in which it goes otherwise.

use serde_json::json;

use crate::support::{Shop, address, id};

pub async fn guest_to_customer_to_delivered(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let hat = shop.product(&admin, "Straw Hat", 2_500, 10).await;
    let (guest_cart, cart_token) = shop.guest_cart(&[(&shirt, 2)]).await;

    let email = shop.email("ada");
    let ada = shop.register(&email).await;
    let me = [("authorization", ada.as_str())];
    let mine = shop.get("/api/v1/carts/mine", &me).await;
    let path = format!("/api/v1/carts/{}", id(&mine));
    let line = json!({"variant_id": hat, "quantity": 1});
    shop.send("POST", &format!("{path}/items"), &me, Some(line)).await.expect(201);
    let merge = json!({"cart_id": guest_cart, "token": cart_token});
    let merged = shop.send("POST", &format!("{path}/merge"), &me, Some(merge)).await.expect(200);
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
    assert_eq!(placed["email"], email);
    assert_eq!(location, format!("/api/v1/orders/{}", id(&placed)));
    let again = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(id(&again.expect(201)), id(&placed));
    shop.assert_available(&shirt, 8).await;
    let closed = shop.get(&path, &me).await;
    assert_eq!(closed["status"], "ordered");
    assert_ne!(id(&shop.get("/api/v1/carts/mine", &me).await), id(&mine));

    let path = format!("{location}/transitions");
    let parcel = json!({"carrier": "DHL", "number": "JD0146"});
    for change in [json!({"to": "shipped", "tracking": parcel}), json!({"to": "delivered"})] {
        let moved = shop.send("POST", &path, &[("authorization", &admin)], Some(change.clone())).await.expect(200);
        assert_eq!((&moved["status"], &moved["tracking"]), (&change["to"], &parcel));
    }
    let read = shop.get(&format!("/api/v1/orders/{}", placed["number"].as_str().unwrap()), &me).await;
    assert_eq!(read["status"], "delivered");
    let timeline = shop.get(&format!("{location}/timeline"), &me).await;
    assert!(timeline["items"].as_array().unwrap().len() >= 4, "{timeline}");
}

pub async fn guest_to_shipped(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Wool Scarf", 3_100, 4).await;
    let order = shop.guest_order(&shirt, 1, Some("pm_card_mastercard")).await;
    assert_eq!((&order["status"], &order["customer_id"]), (&json!("paid"), &json!(null)));
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    for to in ["processing", "shipped"] {
        let change = Some(json!({"to": to}));
        shop.send("POST", &format!("{path}/transitions"), &[("authorization", &admin)], change).await.expect(200);
    }
    let read = shop.get(&path, &[("x-order-token", token)]).await;
    assert_eq!((&read["status"], &read["token"]), (&json!("shipped"), &json!(null)));
    let late = shop.send("POST", &format!("{path}/cancel"), &[("x-order-token", token)], None).await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("invalid_transition")));
}

pub async fn declined_then_paid_then_refunded_in_part(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let order = shop.guest_order(&shirt, 2, None).await;
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
    shop.until(&path, &[("x-order-token", token)], |order| order["status"] == "paid").await;

    let refund = json!({"amount": {"amount": 1_000, "currency": "USD"}, "reason": "a loose button"});
    let (key, other_key) = (shop.unique("refund"), shop.unique("refund"));
    let headers = [("authorization", admin.as_str()), ("idempotency-key", key.as_str())];
    let refund = shop.send("POST", &format!("{payment}/refunds"), &headers, Some(refund)).await.expect(201);
    assert_eq!(refund["status"], "succeeded");
    let headers = [("authorization", admin.as_str()), ("idempotency-key", other_key.as_str())];
    let over = json!({"amount": {"amount": 8_801, "currency": "USD"}});
    let over = shop.send("POST", &format!("{payment}/refunds"), &headers, Some(over)).await;
    assert_eq!((over.status, over.body["code"].as_str()), (409, Some("refund_exceeds_captured")));
    let read = shop.get(&path, &[("x-order-token", token)]).await;
    assert_eq!(read["payment"]["refunded_amount"]["amount"], 1_000);
    let history = shop.get(&format!("{payment}/transactions"), &[("x-order-token", token)]).await;
    assert!(history["items"].as_array().unwrap().len() >= 3, "{history}");
}

pub async fn cancelled_with_stock_and_money_back(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let order = shop.guest_order(&shirt, 3, Some("pm_card_visa")).await;
    shop.assert_available(&shirt, 2).await;
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    let reason = json!({"reason": "changed my mind"});
    let cancel = format!("{path}/cancel");
    let cancelled = shop.send("POST", &cancel, &[("x-order-token", token)], Some(reason)).await.expect(200);
    assert_eq!(cancelled["status"], "cancelled");
    let money_back = |order: &serde_json::Value| order["payment"]["refunded_amount"]["amount"] == 14_700;
    let read = shop.until(&path, &[("x-order-token", token)], money_back).await;
    assert_eq!(read["status"], "cancelled");
    let variant = format!("/api/v1/variants/{shirt}");
    shop.until(&variant, &[("authorization", &admin)], |variant| variant["available"] == 5).await;
    let shipped = Some(json!({"to": "shipped"}));
    let late = shop.send("POST", &format!("{path}/transitions"), &[("authorization", &admin)], shipped).await;
    assert_eq!((late.status, late.body["code"].as_str()), (409, Some("invalid_transition")));
}

/// The half hour is made to have passed in the database.
pub async fn an_unpaid_order_expires_and_frees_its_stock(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 5).await;
    let order = shop.guest_order(&shirt, 5, None).await;
    shop.assert_available(&shirt, 0).await;
    let token = order["token"].as_str().unwrap();
    let path = format!("/api/v1/orders/{}", id(&order));
    let number = order["number"].as_str().unwrap();
    let earlier = "UPDATE orders.orders SET placed_at = placed_at - interval '31 minutes' WHERE number = $1";
    assert_eq!(shop.db.owner().await.execute(earlier, &[&number]).await.unwrap(), 1);
    shop.until(&path, &[("x-order-token", token)], |order| order["status"] == "cancelled").await;
    let variant = format!("/api/v1/variants/{shirt}");
    shop.until(&variant, &[("authorization", &admin)], |variant| variant["available"] == 5).await;
}

/// Lists of orders and payments show a customer's own, and an admin's everybody's.
pub async fn history_is_ones_own(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let mut placed = Vec::new();
    let (ada, ben) = (shop.register(&shop.email("ada")).await, shop.register(&shop.email("ben")).await);
    for (who, key) in [(&ada, "one"), (&ada, "two"), (&ben, "one")] {
        let me = [("authorization", who.as_str())];
        let cart = shop.get("/api/v1/carts/mine", &me).await;
        let line = json!({"variant_id": shirt, "quantity": 1});
        let items = format!("/api/v1/carts/{}/items", id(&cart));
        shop.send("POST", &items, &me, Some(line)).await.expect(201);
        let order = json!({"cart_id": id(&cart), "shipping_address": address(), "payment_method": "pm_card_visa"});
        let headers = [("authorization", who.as_str()), ("idempotency-key", key)];
        let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
        placed.push((id(&order).to_owned(), id(&order["payment"]).to_owned()));
    }
    let ids = |list: serde_json::Value| -> std::collections::BTreeSet<String> {
        list["items"].as_array().unwrap().iter().map(|item| id(item).to_owned()).collect()
    };
    let of_ada = [("authorization", ada.as_str())];
    let orders = ids(shop.get("/api/v1/orders", &of_ada).await);
    assert_eq!(orders, placed[..2].iter().map(|(order, _)| order.clone()).collect());
    let payments = ids(shop.get("/api/v1/payments", &of_ada).await);
    assert_eq!(payments, placed[..2].iter().map(|(_, payment)| payment.clone()).collect());
    let foreign = shop.send("GET", &format!("/api/v1/orders/{}", placed[2].0), &of_ada, None).await;
    assert_eq!(foreign.status, 404);
    let foreign = shop.send("GET", &format!("/api/v1/payments/{}", placed[2].1), &of_ada, None).await;
    assert_eq!(foreign.status, 404);
    let seen = shop.get(&format!("/api/v1/orders/{}", placed[2].0), &[("authorization", &admin)]).await;
    assert_eq!(seen["status"], "paid");
}
