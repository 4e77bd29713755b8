//! What an operation costs the database: the statements that it may send at most, `BEGIN` and `COMMIT` included, while
//! nothing is in a cache. Whoever changes an operation says here what that costs.

use serde_json::{Value, json};

use crate::support::{Server, Shop, address, id};

/// Method, route, status, and the most statements.
const OPERATIONS: [(&str, &str, u16, u32); 11] = [
    ("GET", "/api/v1/products/{id_or_handle}", 200, 1),
    ("GET", "/api/v1/products", 200, 2),
    ("POST", "/api/v1/carts", 201, 1),
    ("POST", "/api/v1/carts/{id}/items", 201, 3),
    ("POST", "/api/v1/carts/{id}/items", 200, 3),
    ("GET", "/api/v1/carts/{id}", 200, 2),
    // Paid in the same call; one of them asks for the database's time, every few seconds.
    ("POST", "/api/v1/orders", 201, 14),
    ("GET", "/api/v1/orders/{id}", 200, 2),
    // One's own, with the session of whoever asks.
    ("GET", "/api/v1/orders", 200, 4),
    ("GET", "/api/v1/users/me", 200, 2),
    ("GET", "/api/v1/orders/{id}/timeline", 200, 2),
];

#[tokio::test]
async fn each_operation_sends_as_many_statements_as_it_says() {
    let shop = Server::start(&["--product-cache", "off"]).await;
    let admin = shop.admin().await;
    let shirt = shop.product(&admin, "Linen Shirt", 4_900, 100).await;
    let hat = shop.product(&admin, "Straw Hat", 2_500, 100).await;
    let ada = shop.register(&shop.email("ada")).await;
    let me = [("authorization", ada.as_str())];
    for number in 0..3 {
        buy(&shop, &format!("order-{number}"), [&shirt, &hat]).await;
        for path in ["/api/v1/products", "/api/v1/orders", "/api/v1/users/me"] {
            shop.get(path, &me).await;
        }
        let listed = shop.get("/api/v1/products", &[]).await;
        shop.get(&format!("/api/v1/products/{}", id(&listed["items"][0])), &[]).await;
    }
    for (method, route, status, most) in OPERATIONS {
        let of = async |part: &str| {
            let labels = [
                format!("eshopz_http_db_statements_{part}{{"),
                format!("method=\"{method}\""),
                format!("route=\"{route}\""),
                format!("status=\"{status}\""),
            ];
            shop.metric(&labels.each_ref().map(String::as_str)).await
        };
        let (asked, sent) = (of("count").await, of("sum").await);
        assert!(asked >= 3.0, "{method} {route} was answered with {status} only {asked} times");
        eprintln!("{method} {route} {status}: {:.2} of {most}", sent / asked);
        assert!(sent <= asked * f64::from(most), "{method} {route}: {:.2} statements, at most {most}", sent / asked);
    }
    assert!(shop.metric(&["eshopz_db_statements_total{", "module=\"orders\""]).await > 0.0);
}

/// A guest's cart of two lines, one of which is added to, and the order of it.
async fn buy(shop: &Shop, key: &str, [one, other]: [&str; 2]) {
    let made = shop.send("POST", "/api/v1/carts", &[], None).await.expect(201);
    let (cart, token) = (id(&made), made["token"].as_str().unwrap().to_owned());
    let holder = [("x-cart-token", token.as_str())];
    for (variant, status) in [(one, 201), (other, 201), (one, 200)] {
        let line = json!({"variant_id": variant, "quantity": 1});
        shop.send("POST", &format!("/api/v1/carts/{cart}/items"), &holder, Some(line)).await.expect(status);
    }
    shop.get(&format!("/api/v1/carts/{cart}"), &holder).await;
    let order = json!({
        "cart_id": cart, "email": shop.email("guest"), "shipping_address": address(), "payment_method": "pm_card_visa",
    });
    let headers = [("x-cart-token", token.as_str()), ("idempotency-key", key)];
    let placed: Value = shop.send("POST", "/api/v1/orders", &headers, Some(order)).await.expect(201);
    assert_eq!(placed["status"], "paid");
    let token = placed["token"].as_str().unwrap();
    for path in ["", "/timeline"] {
        shop.get(&format!("/api/v1/orders/{}{path}", id(&placed)), &[("x-order-token", token)]).await;
    }
}
