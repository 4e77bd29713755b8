//! What must be refused: each with its problem document, none with a 500, and nothing written.

use serde_json::json;

use crate::support::{Shop, address, is_problem};

pub async fn each_bad_request_has_its_problem(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let before = shop.send("GET", &format!("/api/v1/carts/{cart}"), &[("x-cart-token", &token)], None).await;
    let items = format!("/api/v1/carts/{cart}/items");
    let json_type = ("content-type", "application/json");
    let mine = ("x-cart-token", token.as_str());

    let answer = shop.raw("POST", &items, &[mine, json_type], b"{\"variant_id\":".to_vec()).await;
    is_problem(&answer, &[400], "malformed_json");
    let unknown = json!({"variant_id": shirt, "quantity": 1, "colour": "red"});
    let answer = shop.send("POST", &items, &[mine], Some(unknown)).await;
    is_problem(&answer, &[422], "validation_failed");
    assert_eq!(answer.body["errors"][0]["field"], "/colour");
    let answer = shop.raw("POST", &items, &[mine, json_type], vec![b' '; 2 * 1024 * 1024]).await;
    is_problem(&answer, &[413], "body_too_large");
    let answer = shop.raw("POST", &items, &[mine, ("content-type", "text/plain")], b"{}".to_vec()).await;
    is_problem(&answer, &[415], "unsupported_media_type");
    for quantity in [json!(-1), json!(0), json!(100_000), json!(1.5), json!("1"), json!(null), json!(1e30)] {
        let answer = shop.send("POST", &items, &[mine], Some(json!({"variant_id": shirt, "quantity": quantity}))).await;
        is_problem(&answer, &[422], "validation_failed");
        assert_eq!(answer.body["errors"][0]["field"], "/quantity");
    }
    let answer = shop.send("GET", "/api/v1/carts/not-a-uuid", &[mine], None).await;
    is_problem(&answer, &[400], "invalid_id");
    let (foreign, _) = shop.guest_cart(&[]).await;
    let answer = shop.send("GET", &format!("/api/v1/carts/{foreign}"), &[mine], None).await;
    is_problem(&answer, &[404], "not_found");
    let answer = shop.send("POST", &items, &[mine], Some(json!({"variant_id": shirt, "quantity": 10}))).await;
    is_problem(&answer, &[409], "insufficient_stock");
    assert_eq!(answer.body["available"], 10);
    let answer = shop.send("PUT", &items, &[mine], Some(json!({}))).await;
    is_problem(&answer, &[405], "method_not_allowed");
    assert!(answer.header("allow").contains("POST"));
    let answer = shop.send("GET", "/api/v1/nothing", &[], None).await;
    is_problem(&answer, &[404], "not_found");

    let after = shop.send("GET", &format!("/api/v1/carts/{cart}"), &[mine], None).await;
    assert_eq!(before.body, after.body);
    assert_eq!(before.header("etag"), after.header("etag"));
}

pub async fn orders_are_refused_before_anything_is_written(shop: &Shop) {
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let (empty, empty_token) = shop.guest_cart(&[]).await;
    let email = shop.email("refused");
    let good = json!({"cart_id": cart, "email": email, "shipping_address": address()});
    let key = ("idempotency-key", "k");

    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &token)], Some(good.clone())).await;
    is_problem(&answer, &[428], "idempotency_key_required");
    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", "wrong"), key], Some(good.clone())).await;
    is_problem(&answer, &[404], "not_found");
    let mut bad = good.clone();
    bad["shipping_address"]["country"] = json!("Britain");
    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &token), key], Some(bad)).await;
    is_problem(&answer, &[422], "validation_failed");
    assert_eq!(answer.body["errors"][0]["field"], "/shipping_address/country");
    let mut no_email = good.clone();
    no_email.as_object_mut().unwrap().remove("email");
    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &token), key], Some(no_email)).await;
    is_problem(&answer, &[422], "validation_failed");
    let nothing = json!({"cart_id": empty, "email": email, "shipping_address": address()});
    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &empty_token), key], Some(nothing)).await;
    is_problem(&answer, &[409], "cart_empty");
    let email = &email;
    let all = shop.get(&format!("/api/v1/orders?email={email}"), &[("authorization", &admin)]).await;
    assert_eq!(all["items"], json!([]));
    shop.assert_available(&shirt, 10).await;
    let placed = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &token), key], Some(good.clone())).await;
    assert_eq!(placed.status, 201, "{}", placed.text);
    let mut other = good;
    other["email"] = json!("other@example.com");
    let answer = shop.send("POST", "/api/v1/orders", &[("x-cart-token", &token), key], Some(other)).await;
    is_problem(&answer, &[422], "idempotency_key_reused");
}

pub async fn nobody_gets_in_where_they_do_not_belong(shop: &Shop) {
    let admin = shop.admin().await;
    let ada = shop.register(&shop.email("ada")).await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 10).await;
    let product = json!({"title": "x", "variants": [{"price": {"amount": 1, "currency": "USD"}}]});
    let answer = shop.send("POST", "/api/v1/products", &[], Some(product.clone())).await;
    is_problem(&answer, &[401], "unauthenticated");
    assert!(answer.header("www-authenticate").starts_with("Bearer"));
    let answer = shop.send("POST", "/api/v1/products", &[("authorization", &ada)], Some(product)).await;
    is_problem(&answer, &[403], "forbidden");
    for token in ["Bearer x", "Bearer a.b.c", "Basic YTpi", "Bearer"] {
        let answer = shop.send("GET", "/api/v1/users/me", &[("authorization", token)], None).await;
        is_problem(&answer, &[401], "invalid_token");
    }
    let (cart, token) = shop.guest_cart(&[(&shirt, 1)]).await;
    let order = json!({"cart_id": cart, "email": "guest@example.com", "shipping_address": address()});
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", "k")];
    let order = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    let path = format!("/api/v1/orders/{}", order["id"].as_str().unwrap());
    let payment = format!("/api/v1/payments/{}", order["payment"]["id"].as_str().unwrap());
    for headers in [vec![], vec![("authorization", ada.as_str())], vec![("x-order-token", "wrong")]] {
        for path in [&path, &payment] {
            let answer = shop.send("GET", path, &headers, None).await;
            is_problem(&answer, &[404, 401], answer.body["code"].as_str().unwrap());
        }
    }
}

/// The ingress answers by itself: nothing of this is passed on to a process.
pub async fn what_is_internal_cannot_be_reached(shop: &Shop) {
    for path in [
        "/internal/v1/user/session_role",
        "/internal/v1/product/events/product.x",
        "/api/v1/users/%2e%2e/%2e%2e/%2e%2e/internal/v1/user/session_role",
        "/metrics",
        "/health/live",
        "/health/ready",
        "/info",
        "/",
    ] {
        for method in ["GET", "POST"] {
            let answer = shop.send(method, path, &[], None).await;
            is_problem(&answer, &[404], "not_found");
        }
    }
}

pub async fn odd_text_is_stored_or_refused_but_never_breaks(shop: &Shop) {
    let admin = shop.admin().await;
    let headers = [("authorization", admin.as_str())];
    for title in ["a\u{0}b", "", "x".repeat(10_000).as_str(), "'; DROP TABLE products; --", "𝕊𝕙𝕚𝕣𝕥 👕", "<script>"]
    {
        let product = json!({"title": title, "variants": [{"price": {"amount": 1, "currency": "USD"}}]});
        let answer = shop.send("POST", "/api/v1/products", &headers, Some(product)).await;
        assert!([201, 422].contains(&answer.status), "{title:.20}: {} {}", answer.status, answer.text);
    }
    for query in [
        "q='",
        "q=%00",
        "q=a%20%26%20!",
        "q=((((",
        "q=%25",
        "q=:*",
        "q=\\",
        "cursor=x",
        "limit=101",
        "sort=nope",
        "min_price=99999999999999999999",
        "category=%27",
        "unknown=1",
        "tag=%00",
        "q=%ff%fe",
    ] {
        let answer = shop.send("GET", &format!("/api/v1/products?{query}"), &[], None).await;
        assert!([200, 400, 404, 422].contains(&answer.status), "{query}: {} {}", answer.status, answer.text);
    }
    for path in ["/api/v1/products/%00", "/api/v1/orders/%27", "/api/v1/categories/%ff", "/api/v1/users/%2e%2e"] {
        let answer = shop.send("GET", path, &headers, None).await;
        assert!([400, 404].contains(&answer.status), "{path}: {} {}", answer.status, answer.text);
    }
}
