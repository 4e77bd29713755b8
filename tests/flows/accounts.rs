//! Accounts: made, changed, and forgotten by every module.

use serde_json::{Value, json};

use crate::support::{PASSWORD, Shop, address, id, is_problem};

pub async fn an_account_and_its_addresses(shop: &Shop) {
    let email = shop.email("ada");
    let ada = shop.register(&email).await;
    let me = [("authorization", ada.as_str())];
    let twice = json!({"email": email, "password": PASSWORD, "full_name": "Ada"});
    is_problem(&shop.send("POST", "/api/v1/users", &[], Some(twice)).await, &[409], "email_taken");
    let wrong = json!({"email": email, "password": "not the password"});
    is_problem(&shop.send("POST", "/api/v1/auth/login", &[], Some(wrong)).await, &[401], "invalid_credentials");

    let change = json!({"full_name": "Ada King", "phone": "+44 20 7946 0000"});
    shop.send("PATCH", "/api/v1/users/me", &me, Some(change)).await.expect(200);
    let profile = shop.get("/api/v1/users/me", &me).await;
    assert_eq!((&profile["full_name"], &profile["role"]), (&json!("Ada King"), &json!("customer")));

    let token = json!({"token": shop.mailed_token(&email, "confirm").await});
    assert_eq!(shop.send("POST", "/api/v1/auth/verify-email", &[], Some(token)).await.status, 204);
    assert_eq!(shop.get("/api/v1/users/me", &me).await["email_verified"], true);

    let mut home = address();
    home["is_default"] = json!(true);
    let made = shop.send("POST", "/api/v1/users/me/addresses", &me, Some(home)).await.expect(201);
    let path = format!("/api/v1/users/me/addresses/{}", id(&made));
    shop.send("PATCH", &path, &me, Some(json!({"city": "Ockham"}))).await.expect(200);
    let all = shop.get("/api/v1/users/me/addresses", &me).await;
    assert_eq!((all["items"].as_array().unwrap().len(), &all["items"][0]["city"]), (1, &json!("Ockham")));
    assert_eq!(shop.send("DELETE", &path, &me, None).await.status, 204);
    assert_eq!(shop.get("/api/v1/users/me/addresses", &me).await["items"], json!([]));
}

pub async fn a_deleted_account_is_forgotten_by_cart_and_order(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let email = shop.email("ada");
    let ada = shop.register(&email).await;
    let me = [("authorization", ada.as_str())];
    let line = json!({"variant_id": shirt, "quantity": 1});
    let cart = shop.get("/api/v1/carts/mine", &me).await;
    shop.send("POST", &format!("/api/v1/carts/{}/items", id(&cart)), &me, Some(line.clone())).await.expect(201);
    let order = json!({"cart_id": id(&cart), "shipping_address": address(), "payment_method": "pm_card_visa"});
    let headers = [("authorization", ada.as_str()), ("idempotency-key", "one")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    let open = shop.get("/api/v1/carts/mine", &me).await;
    shop.send("POST", &format!("/api/v1/carts/{}/items", id(&open)), &me, Some(line)).await.expect(201);

    assert_eq!(shop.send("DELETE", "/api/v1/users/me", &me, None).await.status, 204);
    for path in ["/api/v1/users/me", "/api/v1/carts/mine", "/api/v1/orders", "/api/v1/payments"] {
        shop.within_a_second(path, &me, |answer| answer.status == 401).await;
    }
    let path = format!("/api/v1/orders/{}", id(&order));
    let forgotten = |order: &Value| order["email"] == "deleted@customer.invalid";
    let read = shop.until(&path, &[("authorization", &admin)], forgotten).await;
    assert_eq!((&read["status"], &read["shipping_address"]["name"]), (&json!("paid"), &json!("deleted")));
    // Nobody may ask for somebody else's cart.
    shop.until_none("SELECT 1 FROM carts.carts WHERE id::text = $1", id(&open)).await;
    // The address is free again.
    shop.register(&email).await;
}

pub async fn the_keys_are_published(shop: &Shop) {
    let ada = shop.register(&shop.email("ada")).await;
    let head = ada.strip_prefix("Bearer ").unwrap().split('.').next().unwrap();
    let keys = shop.get("/.well-known/jwks.json", &[]).await;
    let keys = keys["keys"].as_array().unwrap();
    assert!(!keys.is_empty());
    for key in keys {
        assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519")));
        assert!(key["d"].is_null(), "a private key");
    }
    let head: Value = serde_json::from_slice(&base64_url(head)).unwrap();
    assert!(keys.iter().any(|key| key["kid"] == head["kid"]), "{head} is signed with a key that nobody can know");
}

/// Base64 with the alphabet of JWTs.
fn base64_url(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let bits = text.bytes().flat_map(|c| (0..6).rev().map(move |bit| (value(c) >> bit) & 1)).collect::<Vec<u8>>();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |sum, bit| (sum << 1) | bit)).collect()
}
