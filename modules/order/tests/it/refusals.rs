//! What is not ordered, and why.

use eshopz_kernel::CartId;
use serde_json::json;

use crate::shop::{CART_TOKEN, Shop, address, order_of, paid_order_of, with};

async fn nothing_was_written(shop: &Shop) {
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders").await, 0);
    assert_eq!(shop.count("SELECT count(*) FROM orders.idempotency_keys").await, 0);
    assert!(shop.near.world().holdings.is_empty());
}

#[tokio::test]
async fn a_cart_that_cannot_be_ordered_is_explained() {
    let shop = Shop::open().await;
    let empty = shop.guest_cart(&[]);
    assert_eq!(shop.place_as_guest("k1", order_of(empty)).await.code(), "cart_empty");

    let (few, gone) = (shop.near.variant(1_000, 2), eshopz_kernel::VariantId::new());
    let short = shop.place_as_guest("k2", order_of(shop.guest_cart(&[(few, 3), (gone, 1)]))).await;
    assert_eq!((short.status, short.code().as_str()), (409, "insufficient_stock"));
    assert_eq!(
        short.json()["lines"],
        json!([
            {"variant_id": few, "requested": 3, "available": 2},
            {"variant_id": gone, "requested": 1, "available": 0},
        ])
    );

    let cart = shop.guest_cart(&[(few, 1)]);
    let expecting =
        |amount, currency| with(order_of(cart), "expected_total", json!({"amount": amount, "currency": currency}));
    for body in [expecting(999, "USD"), expecting(1_000, "EUR")] {
        let changed = shop.place_as_guest("k3", body).await;
        assert_eq!((changed.status, changed.code().as_str()), (409, "cart_changed"));
        assert_eq!(changed.json()["total"], json!({"amount": 1_000, "currency": "USD"}));
    }
    nothing_was_written(&shop).await;
    // None of it used the key up.
    assert_eq!(shop.place_as_guest("k3", expecting(1_000, "USD")).await.status, 201);
}

/// A second request for the cart pays nothing that its buyer did not expect.
#[tokio::test]
async fn an_order_that_is_there_is_held_against_the_expected_total() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 1)]);
    assert_eq!(shop.place_as_guest("k1", order_of(cart)).await.status, 201);
    let expecting = |amount| with(paid_order_of(cart), "expected_total", json!({"amount": amount, "currency": "USD"}));
    let refused = shop.place_as_guest("k2", expecting(1)).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "cart_changed"));
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'pending_payment'").await, 1);
    let paid = shop.place_as_guest("k2", expecting(1_000)).await;
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("paid")));
}

/// A second request for the cart that goes elsewhere is not answered by the order that goes where it was sent.
#[tokio::test]
async fn an_order_that_is_there_is_held_against_email_and_addresses() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 1)]);
    let order = shop.place_as_guest("k1", order_of(cart)).await.json();
    let elsewhere = with(address(), "line1", "1 Other Street");
    for (number, other) in [
        with(paid_order_of(cart), "email", "other@example.com"),
        with(paid_order_of(cart), "shipping_address", elsewhere.clone()),
        with(paid_order_of(cart), "billing_address", elsewhere),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = shop.place_as_guest(&format!("other-{number}"), other).await;
        assert_eq!((refused.status, refused.code().as_str()), (409, "cart_ordered"));
        assert_eq!(refused.json()["order"], json!({"id": order["id"], "number": order["number"]}));
    }
    assert_eq!(shop.count("SELECT count(*) FROM orders.orders WHERE status = 'pending_payment'").await, 1);
    let same = with(paid_order_of(cart), "billing_address", address());
    let paid = shop.place_as_guest("k2", same).await;
    assert_eq!((paid.status, &paid.json()["status"]), (200, &json!("paid")));
}

/// Whoever has a cart's token from a browser that they share is not shown what another made of it.
#[tokio::test]
async fn the_order_of_a_cart_is_shown_to_whom_it_is_of() {
    let shop = Shop::open().await;
    let mug = shop.near.variant(1_000, 9);
    let ((_, ann), (_, bob)) = (shop.customer(), shop.customer());
    let signed_in = |bearer| vec![("authorization", bearer), ("x-cart-token", CART_TOKEN)];
    let cart = shop.guest_cart(&[(mug, 1)]);
    assert_eq!(shop.place("k", &signed_in(ann.as_str()), order_of(cart)).await.status, 201);
    for who in [signed_in(bob.as_str()), vec![("x-cart-token", CART_TOKEN)]] {
        let answer = shop.place("k2", &who, order_of(cart)).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{}", answer.text);
    }
    assert_eq!(shop.place("k3", &signed_in(ann.as_str()), order_of(cart)).await.status, 200);
    let cart = shop.guest_cart(&[(mug, 1)]);
    assert_eq!(shop.place_as_guest("k", order_of(cart)).await.status, 201);
    assert_eq!(shop.place("k4", &signed_in(bob.as_str()), order_of(cart)).await.status, 404);
    assert_eq!(shop.place_as_guest("k5", order_of(cart)).await.status, 200);
}

#[tokio::test]
async fn a_foreign_cart_is_no_cart() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 1)]);
    let (_, bearer) = shop.customer();
    for who in [
        vec![],
        vec![("x-cart-token", "other")],
        vec![("authorization", bearer.as_str())],
        vec![("authorization", bearer.as_str()), ("x-cart-token", "other")],
    ] {
        let answer = shop.place("k", &who, order_of(cart)).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "not_found"), "{who:?}");
    }
    assert_eq!(shop.place_as_guest("k", order_of(CartId::new())).await.status, 404);
    let answer = shop.place("k", &vec![("authorization", "Bearer nonsense")], order_of(cart)).await;
    assert_eq!(answer.status, 401);
    nothing_was_written(&shop).await;
}

#[tokio::test]
async fn bad_input_is_named_by_its_place() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 1)]);
    let good = order_of(cart);
    let cases = [
        (with(good.clone(), "email", json!(null)), "/email"),
        (with(good.clone(), "email", "nobody"), "/email"),
        // With a Cyrillic letter that looks like an `a`.
        (with(good.clone(), "email", "\u{430}da@example.com"), "/email"),
        (with(good.clone(), "colour", "red"), "/colour"),
        (with(good.clone(), "shipping_address", with(address(), "country", "Germany")), "/shipping_address/country"),
        (with(good.clone(), "shipping_address", with(address(), "country", "XX")), "/shipping_address/country"),
        (with(good.clone(), "shipping_address", with(address(), "name", "a\0b")), "/shipping_address/name"),
        (with(good.clone(), "billing_address", with(address(), "city", " ")), "/billing_address/city"),
        (with(good.clone(), "billing_address", with(address(), "planet", "Mars")), "/billing_address/planet"),
        (with(good.clone(), "expected_total", json!({"amount": 1.5, "currency": "USD"})), "/expected_total/amount"),
        (with(good.clone(), "cart_id", "no-id"), "/cart_id"),
        (with(good.clone(), "payment_method", "a\0"), "/payment_method"),
    ];
    for (body, field) in cases {
        let answer = shop.place_as_guest("k", body).await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        assert_eq!(answer.json()["errors"][0]["field"], field);
    }
    let keyless = shop.post("/api/v1/orders", &vec![("x-cart-token", CART_TOKEN)], good.clone()).await;
    assert_eq!((keyless.status, keyless.code().as_str()), (428, "idempotency_key_required"));
    nothing_was_written(&shop).await;

    assert_eq!(shop.place_as_guest("k", good.clone()).await.status, 201);
    let reused = shop.place_as_guest("k", with(good, "email", "other@example.com")).await;
    assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_method_that_does_not_exist_leaves_the_order_unpaid() {
    let shop = Shop::open().await;
    let cart = shop.guest_cart(&[(shop.near.variant(1_000, 2), 1)]);
    let answer = shop.place_as_guest("k", with(order_of(cart), "payment_method", "pm_nonsense")).await;
    assert_eq!((answer.status, answer.json()["errors"][0]["field"].clone()), (422, json!("/payment_method")));
    assert_eq!(answer.json()["order"]["status"], "pending_payment");
}

#[tokio::test]
async fn orders_are_named_by_id_or_number_only() {
    let shop = Shop::open().await;
    let admin = shop.app.identity.admin();
    let staff = vec![("authorization", admin.as_str())];
    assert_eq!(shop.get("/api/v1/orders/nonsense", &staff).await.code(), "invalid_id");
    assert_eq!(shop.get("/api/v1/orders/EZ-1", &staff).await.status, 404);
    assert_eq!(shop.get(&format!("/api/v1/orders/{}", CartId::new()), &staff).await.status, 404);
    let nowhere = format!("/api/v1/orders/{}/transitions", CartId::new());
    assert_eq!(shop.post(&nowhere, &staff, json!({"to": "shipped"})).await.status, 404);
    assert_eq!(shop.post(&nowhere, &vec![], json!({"to": "shipped"})).await.status, 401);
    let (_, bearer) = shop.customer();
    let customer = vec![("authorization", bearer.as_str())];
    assert_eq!(shop.post(&nowhere, &customer, json!({"to": "shipped"})).await.status, 403);
}
