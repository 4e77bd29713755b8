//! Many at once: never more sold than there is, never two effects of one intent.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::{Answer, Shop, address};

fn order(cart: &str) -> Value {
    json!({
        "cart_id": cart, "email": "guest@example.com", "shipping_address": address(), "payment_method": "pm_card_visa",
    })
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

pub async fn two_hundred_buyers_for_ten(shop: &Shop) {
    let admin = shop.admin().await;
    let buyers = shop.scale.buyers;
    let rare = shop.product(&admin, "Signed First Edition", 19_900, 10).await;
    let line = [(rare.as_str(), 1)];
    let carts = join_all((0..buyers).map(|_| shop.guest_cart(&line))).await;
    let answers = join_all(carts.iter().enumerate().map(|(n, (cart, token))| async move {
        let key = format!("buyer-{n}");
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
        shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
    }))
    .await;
    assert_eq!(
        (count(&answers, 201), count(&answers, 409)),
        (10, buyers - 10),
        "{:?}",
        answers.iter().map(|a| a.status).collect::<Vec<_>>()
    );
    assert!(answers.iter().filter(|a| a.status == 409).all(|a| a.body["code"] == "insufficient_stock"));
}

pub async fn fifty_twins_make_one_order(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let twins = shop.scale.twins;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    let answers = join_all((0..twins).map(|_| shop.send("POST", "/api/v1/orders", &headers, Some(order(&cart))))).await;
    let ids: std::collections::BTreeSet<&str> =
        answers.iter().filter(|a| a.status == 201).map(|a| a.body["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    let waits = |a: &&Answer| a.status == 409 && a.body["code"] == "idempotency_in_progress";
    let others: Vec<&Answer> = answers.iter().filter(|a| a.status != 201 && !waits(a)).collect();
    assert!(others.is_empty(), "{others:?}");
    assert_eq!(answers.len(), twins);
    shop.assert_available(&shirt, 99).await;
}

pub async fn one_cart_makes_one_order_under_many_keys(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 2)]).await;
    let answers = join_all((0..20).map(|n| {
        let (cart, token) = (&cart, &token);
        async move {
            let key = format!("key-{n}");
            let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
            shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
        }
    }))
    .await;
    assert_eq!(count(&answers, 201), 1, "{:?}", answers.iter().map(|a| (a.status, &a.text)).collect::<Vec<_>>());
    assert_eq!(count(&answers, 200), 19);
    shop.assert_available(&shirt, 98).await;
}

pub async fn carts_in_opposite_order_do_not_deadlock(shop: &Shop) {
    let admin = shop.admin().await;
    let left = shop.product(&admin, "Left Shoe", 1_000, 30).await;
    let right = shop.product(&admin, "Right Shoe", 1_000, 30).await;
    let there = [(left.as_str(), 1), (right.as_str(), 1)];
    let back = [(right.as_str(), 1), (left.as_str(), 1)];
    let carts = join_all((0..60).map(|n| shop.guest_cart(if n % 2 == 0 { &there } else { &back }))).await;
    let answers = join_all(carts.iter().enumerate().map(|(n, (cart, token))| async move {
        let key = format!("buyer-{n}");
        let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key.as_str())];
        shop.send("POST", "/api/v1/orders", &headers, Some(order(cart))).await
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (30, 30));
}

pub async fn two_refunds_never_exceed_the_capture(shop: &Shop) {
    let admin = shop.admin().await;
    let thing = shop.product(&admin, "Hundred", 10_000, 5).await;
    let (cart, token) = shop.guest_cart(&[(&thing, 1)]).await;
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "one")];
    let placed = shop.send("POST", "/api/v1/orders", &headers, Some(order(&cart))).await.expect(201);
    let path = format!("/api/v1/payments/{}/refunds", placed["payment"]["id"].as_str().unwrap());
    let answers = join_all((0..8).map(|n| {
        let (path, admin) = (&path, &admin);
        async move {
            let key = format!("race-{n}-{path}");
            let headers = [("authorization", admin.as_str()), ("idempotency-key", key.as_str())];
            let amount = json!({"amount": {"amount": 6_000, "currency": "USD"}});
            shop.send("POST", path, &headers, Some(amount)).await
        }
    }))
    .await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (1, 7));
}
