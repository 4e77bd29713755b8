//! Many at once: never more sold than there is, never two effects of one intent.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Server, address};

fn order(cart: &str) -> Value {
    json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test]
async fn two_hundred_buyers_for_ten() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let rare = shop.product(&admin, "Signed First Edition", 19_900, 10).await;
    let line = [(rare.as_str(), 1)];
    let carts = join_all((0..200).map(|_| shop.guest_cart(&line))).await;
    let answers = join_all(carts.iter().enumerate().map(|(n, (cart, token))| {
        let shop = &shop;
        async move {
            let key = format!("buyer-{n}");
            let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
            shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
        }
    }))
    .await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 409)),
        (10, 190),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    assert!(answers.iter().filter(|a| a.status == 409).all(|a| a.body["code"] == "insufficient_stock"));
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn fifty_twins_make_one_order() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    let answers = join_all((0..50).map(|_| shop.send("POST", "/api/v1/orders", &headers, Some(order(&cart))))).await;
    let ids: std::collections::BTreeSet<&str> =
        answers.iter().filter(|a| a.status == 201).map(|a| a.body["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(count(&answers, 201) + count(&answers, 409), 50);
    assert!(answers.iter().filter(|a| a.status == 409).all(|a| a.body["code"] == "idempotency_in_progress"));
    let all = shop.send("GET", "/api/v1/orders?limit=100", &[("authorization", &admin)], None).await.expect(200);
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn one_cart_makes_one_order_under_many_keys() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let answers = join_all((0..20).map(|n| {
        let (shop, cart, token) = (&shop, &cart, &token);
        async move {
            let key = format!("key-{n}");
            let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
            shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
        }
    }))
    .await;
    assert_eq!(count(&answers, 201), 1, "{:?}", answers.iter().map(|a| (a.status, &a.text)).collect::<Vec<_>>());
    assert_eq!(count(&answers, 200), 19);
    let path = format!("/api/v1/variants/{shirt}");
    let variant = shop.send("GET", &path, &[], None).await.expect(200);
    assert_eq!(variant["available"], 98);
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn carts_in_opposite_order_do_not_deadlock() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let left = shop.product(&admin, "Left Shoe", 1_000, 30).await;
    let right = shop.product(&admin, "Right Shoe", 1_000, 30).await;
    let there = [(left.as_str(), 1), (right.as_str(), 1)];
    let back = [(right.as_str(), 1), (left.as_str(), 1)];
    let carts = join_all((0..60).map(|n| shop.guest_cart(if n % 2 == 0 { &there } else { &back }))).await;
    let answers = join_all(carts.iter().enumerate().map(|(n, (cart, token))| {
        let shop = &shop;
        async move {
            let key = format!("buyer-{n}");
            let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
            shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
        }
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (30, 30));
    assert_eq!(shop.verify(), Vec::<Value>::new());
}

#[tokio::test]
async fn two_refunds_never_exceed_the_capture() {
    let shop = Server::start(&[]).await;
    let admin = shop.admin().await;
    let thing = shop.product(&admin, "Hundred", 10_000, 5).await;
    let (cart, token) = shop.guest_cart(&[(&thing, 1)]).await;
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    let placed = shop.send("POST", "/api/v1/orders", &headers, Some(order(&cart))).await.expect(201);
    let path = format!("/api/v1/payments/{}/refunds", placed["payment"]["id"].as_str().unwrap());
    let answers = join_all((0..8).map(|n| {
        let (shop, path, admin) = (&shop, &path, &admin);
        async move {
            let key = format!("refund-{n}");
            let headers = [("authorization", admin.as_str()), ("idempotency-key", key.as_str())];
            let amount = json!({"amount": {"amount": 6_000, "currency": "USD"}});
            shop.send("POST", path, &headers, Some(amount)).await
        }
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7));
    assert_eq!(shop.verify(), Vec::<Value>::new());
}
